package run

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"coil/thorough"
)

// A trainer writes what it promises to its standard output, before and after whatever changes that.
type promise struct {
	Made        bool // the run is there
	Least, Most int  // numbers of the save that may be the newest; 0 if there is none
	Events      int  // notes that are on the disk
}

func (p promise) say() {
	b, _ := json.Marshal(p)
	fmt.Printf("%s\n", b)
}

// lostFiles are what a checkpoint of the trainer holds, each with the number of the save.
var lostFiles = []string{"model", "optimizer"}

func saveNumber(r *Run, step, number int) error {
	var files []FileWriter
	for _, name := range lostFiles {
		files = append(files, content(name, strings.Repeat(fmt.Sprintf("%s %d\n", name, number), 100)))
	}
	_, err := r.Save(step, number, files)
	return err
}

// trainAndSave makes a run and saves checkpoints, one of them twice; it goes back, changes the configuration, and removes old
// checkpoints.
func trainAndSave(create func() (*Run, error)) error {
	var p promise
	p.say()
	r, err := create()
	if err != nil {
		return err
	}
	p.Made = true
	p.say()
	notes := 0
	save := func(step, number int) error {
		for range 2 {
			if err := r.Append(note(strconv.Itoa(notes))); err != nil {
				return err
			}
			notes++
		}
		p.Most = number
		p.say()
		if err := saveNumber(r, step, number); err != nil {
			return err
		}
		p.Least, p.Events = number, notes
		p.say()
		return nil
	}
	for number, step := range []int{1, 2, 2, 3, 4} {
		if err := save(step, number+1); err != nil {
			return err
		}
		if err := r.Prune(2); err != nil {
			return err
		}
	}
	p.Least = 4
	p.say()
	if err := r.Rewind(3); err != nil {
		return err
	}
	p.Most = 4
	p.say()
	if err := r.SetConfig([]byte("steps = 2\n")); err != nil {
		return err
	}
	if err := save(4, 5); err != nil {
		return err
	}
	return errors.Join(r.Prune(1), r.Close())
}

func init() {
	children["train at"] = func(path string) error {
		return trainAndSave(func() (*Run, error) { return CreateAt(filepath.Join(path, "a", "b"), []byte("steps = 1\n"), Info{}) })
	}
	children["train below"] = func(path string) error {
		return trainAndSave(func() (*Run, error) {
			return Create(filepath.Join(path, "a", "runs"), "x", []byte("steps = 1\n"), Info{})
		})
	}
}

// A node is a file, a folder or a link on a disk that may lose power, with all its states. The disk has its state at the last
// fsync, or a later one.
type node struct {
	names  []map[string]*node // of a folder
	data   [][]byte           // of a file
	link   string
	synced int
}

func newFolder() *node { return &node{names: []map[string]*node{{}}} }

func (n *node) rename(f func(names map[string]*node)) {
	names := maps.Clone(n.names[len(n.names)-1])
	f(names)
	n.names = append(n.names, names)
}

// A disk is a folder with all that happened in it.
type disk struct {
	path string
	root *node
}

// find returns a node by its path, as a process sees it, or nil.
func (d *disk) find(path string) *node {
	n := d.root
	rest, ok := strings.CutPrefix(path, d.path)
	if !ok {
		return nil
	}
	for name := range strings.SplitSeq(rest, "/") {
		if name == "" {
			continue
		}
		if n == nil || n.names == nil {
			return nil
		}
		n = n.names[len(n.names)-1][name]
	}
	return n
}

var (
	traceCall   = regexp.MustCompile(`^(\w+)\((.*)\) += (\d+)`)
	traceString = regexp.MustCompile(`(?:AT_FDCWD|\d+)<((?:\\x[0-9a-f]{2})*)>|"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?`)
)

// replay does a system call of a trace to the disk, and returns what it wrote to the standard output.
func (d *disk) replay(t *testing.T, call string) string {
	t.Helper()
	m := traceCall.FindStringSubmatch(call)
	if m == nil {
		return "" // it failed
	}
	name, arguments := m[1], m[2]
	var s []string // file names of descriptors, and strings
	for _, a := range traceString.FindAllStringSubmatch(arguments, -1) {
		if a[3] != "" {
			t.Fatalf("a string is cut: %.200s", call)
		}
		text := must(strconv.Unquote(`"` + a[1] + a[2] + `"`))(t)
		s = append(s, text)
	}
	at := func(i int) string { // the path of a folder's descriptor and a name
		if filepath.IsAbs(s[i+1]) {
			return s[i+1]
		}
		return filepath.Join(s[i], s[i+1])
	}
	number := func() int {
		return must(strconv.Atoi(strings.TrimSpace(arguments[strings.LastIndexByte(arguments, ',')+1:])))(t)
	}
	in := func(path string, f func(names map[string]*node, name string)) {
		if folder := d.find(filepath.Dir(path)); folder != nil {
			folder.rename(func(names map[string]*node) { f(names, filepath.Base(path)) })
		}
	}
	put := func(n *node) func(map[string]*node, string) {
		return func(names map[string]*node, name string) { names[name] = n }
	}
	switch name {
	case "openat":
		path := at(0)
		if n := d.find(path); n == nil && strings.Contains(arguments, "O_CREAT") {
			in(path, put(&node{data: [][]byte{nil}}))
		} else if n != nil && strings.Contains(arguments, "O_TRUNC") {
			n.data = append(n.data, nil)
		}
	case "mkdirat":
		in(at(0), put(newFolder()))
	case "symlinkat":
		path := s[2]
		if !filepath.IsAbs(path) {
			path = filepath.Join(s[1], path)
		}
		in(path, put(&node{link: s[0]}))
	case "write", "pwrite64":
		if strings.HasPrefix(arguments, "1<") {
			return s[1]
		}
		if n := d.find(s[0]); n != nil {
			data := n.data[len(n.data)-1]
			from := len(data)
			if name == "pwrite64" {
				from = number()
			}
			now := make([]byte, max(len(data), from+len(s[1])))
			copy(now, data)
			copy(now[from:], s[1])
			n.data = append(n.data, now)
		}
	case "ftruncate":
		if n := d.find(s[0]); n != nil {
			now := make([]byte, number())
			copy(now, n.data[len(n.data)-1])
			n.data = append(n.data, now)
		}
	case "fsync":
		if n := d.find(s[0]); n != nil {
			n.synced = max(len(n.names), len(n.data)) - 1
		}
	case "renameat", "renameat2":
		from, to := at(0), at(2)
		n := d.find(from)
		if n == nil {
			return ""
		}
		if filepath.Dir(from) != filepath.Dir(to) {
			t.Fatalf("%s is moved to %s: only renames within a folder are known here", from, to)
		}
		in(to, func(names map[string]*node, name string) {
			delete(names, filepath.Base(from))
			names[name] = n
		})
	case "unlinkat":
		in(at(0), func(names map[string]*node, name string) { delete(names, name) })
	default:
		t.Fatalf("unknown call %s", call)
	}
	return ""
}

// A loss chooses what of a node is on the disk when the power comes back.
type loss struct {
	names func(first, last int) int
	data  func(synced, now []byte) []byte
}

func first(first, _ int) int           { return first }
func last(_, last int) int             { return last }
func synced(synced, _ []byte) []byte   { return synced }
func written(_, written []byte) []byte { return written }
func halved(synced, now []byte) []byte { return now[:min(len(now), (len(synced)+len(now)+1)/2)] }
func anyName(r *rand.Rand) func(int, int) int {
	return func(first, last int) int { return first + r.IntN(last-first+1) }
}

// zeroed is a file that has its length, and not all of its data.
func zeroed(synced, now []byte) []byte {
	b := make([]byte, len(now))
	copy(b, synced)
	return b
}

func anyData(r *rand.Rand) func(synced, now []byte) []byte {
	return func(before, now []byte) []byte {
		return []func(_, _ []byte) []byte{synced, written, halved}[r.IntN(3)](before, now)
	}
}

// image is the disk after a loss of power: paths and their contents. The paths of folders end with /.
func (n *node) image(l loss, path string, image map[string][]byte, links map[string]string) {
	switch {
	case n.names != nil:
		image[path+"/"] = nil
		names := n.names[l.names(n.synced, len(n.names)-1)]
		for _, name := range slices.Sorted(maps.Keys(names)) {
			names[name].image(l, path+"/"+name, image, links)
		}
	case n.link != "":
		links[path] = n.link
	default:
		b := n.data[n.synced]
		if n.synced < len(n.data)-1 {
			b = l.data(b, n.data[len(n.data)-1])
		}
		image[path] = b
	}
}

// Whenever the power is lost, the run has the last checkpoint whose save had returned, or a later one, whole, and the events up to
// it. Each folder is in its state at its last fsync or at any time since. So is each file, or it is cut or has zeros. Different
// folders and files may be in states of different times.
func TestPowerLoss(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("opens hundreds of runs")
	}
	for _, child := range thorough.Cases(t, 2, "runs", []string{"train below", "train at"}) {
		t.Run(child, func(t *testing.T) { powerLoss(t, child) })
	}
}

func powerLoss(t *testing.T, child string) {
	dir := must(filepath.EvalSymlinks(t.TempDir()))(t)
	d := disk{path: filepath.Join(dir, "disk"), root: newFolder()}
	if err := os.Mkdir(d.path, 0o777); err != nil {
		t.Fatal(err)
	}
	trace := filepath.Join(dir, "trace")
	cmd := exec.Command(straceProgram(t), "-f", "-qq", "-y", "-xx", "-s", "100000", "-o", trace,
		"-e", "trace=openat,mkdirat,symlinkat,write,pwrite64,ftruncate,fsync,renameat,renameat2,unlinkat", must(os.Executable())(t), d.path)
	cmd.Env = append(os.Environ(), "COIL_TEST_CHILD="+child, "GOMAXPROCS=1", "GODEBUG=asyncpreemptoff=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		if strings.Contains(string(out), "ptrace") {
			t.Skipf("strace can't trace here: %v: %s", err, out)
		}
		t.Fatalf("%v: %s", err, out)
	}
	random := rand.New(rand.NewPCG(1, 2))
	losses := []loss{{first, synced}, {last, synced}, {last, zeroed}, {last, halved}, {last, written}, {first, written}}
	for range 4 {
		losses = append(losses, loss{anyName(random), anyData(random)})
	}
	images := dir
	if memory, err := os.MkdirTemp("/dev/shm", "coil"); err == nil { // where fsync takes no time
		defer os.RemoveAll(memory)
		images = memory
	}
	stride := 61 * thorough.Every(t, 2, "calls") // and whenever something is promised; the other calls with COIL_KILLS=all
	if os.Getenv("COIL_KILLS") == "all" {
		stride = 1
	}
	var p promise
	begun := make(map[string]string) // calls that have not ended, by thread
	seen := make(map[string]bool)
	for i, line := range strings.Split(strings.TrimSpace(string(must(os.ReadFile(trace))(t))), "\n") {
		thread, call, _ := strings.Cut(line, " ")
		call = strings.TrimSpace(call)
		if before, ok := strings.CutSuffix(call, " <unfinished ...>"); ok {
			begun[thread] = before
			continue
		}
		if strings.HasPrefix(call, "<... ") {
			_, rest, _ := strings.Cut(call, " resumed>")
			call = begun[thread] + rest
		}
		said := d.replay(t, call)
		if said != "" {
			if err := json.Unmarshal([]byte(said), &p); err != nil {
				t.Fatal(err)
			}
		} else if i%stride != 0 {
			continue
		}
		for j, l := range losses {
			image, links := make(map[string][]byte), make(map[string]string)
			d.root.image(l, "", image, links)
			if key := fmt.Sprintf("%s %v %v", image, links, p); seen[key] {
				continue
			} else {
				seen[key] = true
			}
			path := filepath.Join(images, fmt.Sprintf("%d-%d", i, j))
			for _, name := range slices.Sorted(maps.Keys(image)) {
				var err error
				if strings.HasSuffix(name, "/") {
					err = os.MkdirAll(path+name, 0o777)
				} else {
					err = os.WriteFile(path+name, image[name], 0o666)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			for name, to := range links {
				if err := os.Symlink(to, path+name); err != nil {
					t.Fatal(err)
				}
			}
			if err := afterLoss(child, path, p); err != nil {
				t.Fatalf("after a loss of power at call %d, image %d has %q, which breaks the promise %+v: %v\n%s", i, j, slices.Sorted(maps.Keys(image)), p, err, call)
			}
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(seen) < 50 {
		t.Errorf("only %d images", len(seen))
	}
	t.Logf("%d images", len(seen))
}

// afterLoss compares a disk with the promises of the package, and continues the run.
func afterLoss(child, disk string, p promise) error {
	path := filepath.Join(disk, "a", "b")
	if child == "train below" {
		root := filepath.Join(disk, "a", "runs")
		ids, err := List(root)
		if err != nil {
			return err
		}
		if len(ids) == 0 {
			if p.Made {
				return errors.New("there is no run")
			}
			r, err := Create(root, "y", nil, Info{})
			if err != nil {
				return err
			}
			return r.Close()
		}
		path = filepath.Join(root, ids[0])
	}
	v, err := View(path)
	if err != nil {
		if p.Made {
			return err
		}
		r, err := CreateAt(path, nil, Info{})
		if err != nil {
			return err
		}
		return r.Close()
	}
	if v.Damage() != nil {
		return v.Damage()
	}
	if edited, err := v.Edited(); edited || err != nil {
		return fmt.Errorf("the configuration passes for an edited one: %v", err)
	}
	number, err := newest(v, p)
	if err != nil {
		return err
	}
	r, err := Open(path)
	if err != nil {
		return err
	}
	defer r.Close()
	if again, err := newest(r, p); err != nil || again != number {
		return fmt.Errorf("a reader saw save %d, and after Open it is %d, %v", number, again, err)
	}
	if err := saveNumber(r, 9, 9); err != nil {
		return err
	}
	p.Least, p.Most = 9, 9
	_, err = newest(r, p)
	return err
}

// newest returns the number of the newest save, after looking at all that a run has.
func newest(r *Run, p promise) (number int, err error) {
	c, err := r.Latest()
	if err == nil {
		if err := json.Unmarshal(c.Meta, &number); err != nil {
			return 0, err
		}
		for _, name := range lostFiles {
			b, err := os.ReadFile(filepath.Join(c.Path, name))
			if want := strings.Repeat(fmt.Sprintf("%s %d\n", name, number), 100); err != nil || !bytes.Equal(b, []byte(want)) {
				return 0, fmt.Errorf("%s of save %d is %.20q, %v", name, number, b, err)
			}
		}
	} else if !errors.Is(err, ErrNoCheckpoint) {
		return 0, err
	}
	if number < p.Least || number > p.Most {
		return 0, fmt.Errorf("the newest checkpoint is of save %d", number)
	}
	er, err := r.Events()
	if err != nil {
		return 0, err
	}
	defer er.Close()
	notes := 0
	for {
		e, err := er.Next()
		if err == io.EOF {
			break
		} else if err != nil {
			return 0, err
		}
		if e.Text == "" {
			continue
		}
		if e.Text != strconv.Itoa(notes) {
			return 0, fmt.Errorf("after %d notes comes %q", notes, e.Text)
		}
		notes++
	}
	if notes < p.Events {
		return 0, fmt.Errorf("there are %d notes", notes)
	}
	return number, nil
}
