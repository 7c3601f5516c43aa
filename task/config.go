package task

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"coil/config/schema"
	"coil/tokenizer"
)

// Config is the [task] table: the name of the task, what is in front of its sequences, and a table for each task. Its tables are
// the list of the tasks: a new task is a file with its [Settings], and a line here.
type Config struct {
	Name       Name       `toml:"name" alias:"task"`
	Start      int        `toml:"start" help:"number of tokens # in front of each sequence" limits:"[0,16]"`
	PHop       PHop       `toml:"p-hop"`
	Addition   Addition   `toml:"addition"`
	IGSM       IGSM       `toml:"i-gsm"`
	GroupWord  GroupWord  `toml:"group-word"`
	Assignment Assignment `toml:"assignment"`
	Teacher    Teacher    `toml:"teacher"`
	Noise      Noise      `toml:"noise"`
	Text       Text       `toml:"text"`
}

// Settings are the table of a task: a pointer to a struct with the tags of package schema implements them.
type Settings interface {
	// SetDefault sets all keys to their defaults.
	SetDefault()
	// Check returns an error unless the keys have values that they may have, and that go with each other. It does not make
	// the task, so it is quick.
	Check() error
	// New makes the task. Besides the errors of Check it returns one if the task has too few questions, which may take a
	// while to find out.
	New() (Task, error)
}

// Name is the name of a task.
type Name string

// Values returns the names of all tasks, sorted.
func (Name) Values() []string {
	names := tableNames()
	slices.Sort(names)
	return names
}

// Help lists the names in the order of the tables.
func (Name) Help() string { return schema.OneOf(tableNames()) }

// Names are the names of all tasks, sorted.
func Names() []string { return Name("").Values() }

func tableNames() []string {
	var names []string
	new(Config).each(func(name string, _ Settings) { names = append(names, name) })
	return names
}

// each calls f with the name and the table of every task.
func (c *Config) each(f func(name string, s Settings)) {
	v := reflect.ValueOf(c).Elem()
	for i := range v.NumField() {
		if s, ok := v.Field(i).Addr().Interface().(Settings); ok {
			f(v.Type().Field(i).Tag.Get("toml"), s)
		}
	}
}

// Default is the task p-hop, with the defaults of all tasks.
func Default() Config {
	c := Config{Name: "p-hop"}
	c.each(func(_ string, s Settings) { s.SetDefault() })
	return c
}

// settings is the table of the task that c names.
func (c *Config) settings() (found Settings, err error) {
	c.each(func(name string, s Settings) {
		if name == string(c.Name) {
			found = s
		}
	})
	if found == nil {
		return nil, schema.Errorf("task.name", " is %q, want one of %s", c.Name, strings.Join(Names(), ", "))
	}
	if _, ok := found.(*Text); ok && c.Start > 0 {
		return nil, schema.Errorf("task.start", " is %d, and text has no token #: want 0", c.Start)
	}
	return found, nil
}

// Check returns the errors of the name and of the table of the task, without making the task: see [Settings].
func (c Config) Check() error {
	s, err := c.settings()
	if err != nil {
		return err
	}
	if c.Start < 0 || c.Start > mostStart {
		return schema.Errorf("task.start", " is %d, want 0 to %d", c.Start, mostStart)
	}
	return c.named(s.Check())
}

// New makes the task.
func (c Config) New() (Task, error) {
	s, err := c.settings()
	if err != nil {
		return nil, err
	}
	made, err := s.New()
	if err != nil {
		return nil, c.named(err)
	}
	if c.Start > 0 {
		made = &started{made, c.Start}
	}
	return made, nil
}

// Absolute makes the paths of files absolute, so that they mean the same in every folder.
func (c *Config) Absolute() error {
	absolute := func(path string) (string, error) {
		a, err := filepath.Abs(path)
		if err != nil {
			return "", fmt.Errorf("%s has no absolute path, as the current folder is gone: change to one that exists", path)
		}
		return a, nil
	}
	var err error
	for _, paths := range []*[]string{&c.Text.Files, &c.Text.HeldOut} {
		all := make([]string, len(*paths))
		for i, path := range *paths {
			if all[i], err = absolute(path); err != nil {
				return err
			}
		}
		*paths = all
	}
	if file := &c.Text.Tokenizer; *file != "" && *file != tokenizer.BytesName {
		*file, err = absolute(*file)
	}
	return err
}

// named turns errors of a task, such as "p-hop: hops = 60, want …", into errors of its table.
func (c Config) named(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var errs []error
		for _, e := range joined.Unwrap() {
			errs = append(errs, c.named(e))
		}
		return errors.Join(errs...)
	}
	var e *schema.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e):
		return schema.Errorf("task."+e.Key, "%s", e.Text)
	}
	return schema.Errorf("task."+string(c.Name), "%s", strings.TrimPrefix(err.Error(), string(c.Name)))
}
