package task

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// Every table of Config is that of a task, and that task has its name.
func TestList(t *testing.T) {
	tables := 0
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		if len(f.Index) == 1 && f.Type.Kind() == reflect.Struct {
			tables++
		}
	}
	if names := tableNames(); len(names) != tables {
		t.Fatalf("%d of %d tables are settings of a task: %v", len(names), tables, names)
	}
	for _, name := range Names() {
		c := Default()
		c.Name = Name(name)
		if err := c.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		made, err := c.New()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if made.Name() != name {
			t.Errorf("%s is called %s", name, made.Name())
		}
	}
}

// The names have the order of the tables in help, and are sorted elsewhere.
func TestNames(t *testing.T) {
	if got := Name("").Help(); got != "p-hop, addition, i-gsm, group-word, assignment, teacher, noise or text" {
		t.Error(got)
	}
	if got := Names(); strings.Join(got, ",") != "addition,assignment,group-word,i-gsm,noise,p-hop,teacher,text" {
		t.Error(got)
	}
	c := Config{Name: "chess"}
	const want = `task.name is "chess", want one of addition, assignment, group-word, i-gsm, noise, p-hop, teacher, text`
	if err := c.Check(); err == nil || err.Error() != want {
		t.Error(err)
	}
	if _, err := c.New(); err == nil || err.Error() != want {
		t.Error(err)
	}
}

// Check does not make the task: it neither builds the tables of i-GSM nor examines its problems.
func TestCheckMakesNothing(t *testing.T) {
	c := Default()
	c.Name = "i-gsm"
	checks := testing.AllocsPerRun(1, func() { c.Check() })
	makes := testing.AllocsPerRun(1, func() { c.New() })
	if checks > makes/2 {
		t.Errorf("Check has %v allocations, New %v", checks, makes)
	}
	// A sequence that only few problems fit into has good values: that few fit takes problems to find out.
	c.IGSM.Length = 60
	if err := c.Check(); err != nil {
		t.Error(err)
	}
	if _, err := c.New(); err == nil || !strings.HasPrefix(err.Error(), "task.i-gsm: length = 60 fits a share") {
		t.Error(err)
	}
}

// What a copy is given leaves the original as it was, and no two defaults share memory.
func TestDefault(t *testing.T) {
	a, b := Default(), Default()
	a.Addition.Operands[0] = 99
	if slices.Contains(b.Addition.Operands, 99) {
		t.Error("two defaults have the same list of operands")
	}
}
