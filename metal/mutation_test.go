package metal_test

import (
	"bufio"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"coil/backend"
	"coil/backend/conformance"
	"coil/graph"
	"coil/metal"
	"coil/metal/emulator"
	"coil/metal/emulator/emulatortest"
	"coil/shaders"
	"coil/thorough"
)

// subjectsOf are the parts of the conformance suite that are most likely to notice a fault in a file of shaders. The
// prelude is part of every file; these are those that use all of it.
var subjectsOf = map[string][]string{
	"prelude":     {"activation", "elementwise", "norm", "cross-entropy", "attention"},
	"elementwise": {"activation", "swiglu", "soft cap", "elementwise"},
	"decay":       {"decay"},
	"weigh":       {"weigh", "softmax"},
	"embedding":   {"embedding"},
	"loss":        {"cross-entropy"},
	"exit":        {"exit"},
	"matmul":      {"matmul", "matmul epilogue", "pairs", "attention"},
	"norm":        {"norm"},
	"partials":    {"pairs", "norm", "decay"},
	"optimizer":   {"adamw", "adafactor", "average", "bad steps"},
	"muon":        {"muon", "bad steps"},
	"reduce":      {"sums", "cosine", "clip factor"},
	"cached":      {"cached attention"},
	"hard":        {"hard attention", "cached attention"},
	"rotary":      {"rotary"},
	"scores":      {"attention"},
	"attention":   {"attention"},
	"teams":       {"norm", "cross-entropy", "adafactor"},
	"teams_plain": {"norm", "cross-entropy", "adafactor"},
	"plain":       {"matmul", "matmul epilogue", "pairs", "attention"},
	"product":     {"matmul", "matmul epilogue", "pairs", "attention"},
	"tensors":     {"matmul"}, // and its own test
	"journal":     {"groups", "bad steps"},
	"layout":      {"attention"},
}

// trial of a mutant: a run of the suite, or of a part of it.
type mutantTrial struct {
	checked, bfloat bool
	fused           bool // attention's second variant; only for its shader
	every           int
	order           emulator.Order
}

// The first trials are quick, and notice most. What is listed as a survivor gets no others.
var mutantTrials = []mutantTrial{
	{every: 9},
	{checked: true, every: 9, order: emulator.Random},
	{checked: true, every: 9, order: emulator.Random, fused: true},
	{},
	{bfloat: true, every: 4},
	{checked: true, order: emulator.Reverse},
	{bfloat: true},
	{fused: true},
	{checked: true, order: emulator.Reverse, fused: true},
}

const quickTrials = 3

// mutatedFile is a file of shaders with all its mutants.
type mutatedFile struct {
	name     string
	variants metal.Variants    // that use it
	sources  map[string]string // of every file that they are in
	mutants  []mutant
	quick    bool // a few of them run: it takes longer to compile them than to run them

	failures []string  // what failed command buffers do without a mutant
	products []float32 // of the tensor kernels without a mutant
}

// hostsOf are the files that have others in them, and that use all of those together.
var hostsOf = map[string][]string{
	"prelude":     {"elementwise", "norm", "loss", "attention"},
	"teams":       {"norm", "loss", "optimizer"},
	"teams_plain": {"norm", "loss", "optimizer"},
	"plain":       {"matmul"},
	"product":     {"matmul"},
}

var lineRE = regexp.MustCompile(`(?m)^#line \d+ "(.*)\.metal"\n`)

// mutateFile mutates a file of shaders, in all files that have it in them.
func mutateFile(t *testing.T, name string) *mutatedFile {
	const using = "using namespace metal;"
	device := metal.NewDryRun(metal.Chip{}).Description()
	f := &mutatedFile{name: name, variants: metal.Preferred(device), sources: map[string]string{}, quick: os.Getenv("COIL_MUTANTS") == ""}
	if strings.Contains(name, "plain") {
		f.variants = metal.Plainest()
	}
	hosts := hostsOf[name]
	if hosts == nil {
		hosts = []string{name}
	}
	for _, host := range hosts {
		source := shaders.Source(host, f.variants.Definitions(device)...)
		var b strings.Builder
		found := false
		for lines := lineRE.FindAllStringSubmatchIndex(source, -1); len(lines) > 0; lines = lines[1:] {
			x, end := lines[0], len(source)
			if len(lines) > 1 {
				end = lines[1][0]
			}
			text := source[x[1]:end]
			if source[x[2]:x[3]] == name && strings.Contains(text, "{") { // not what only includes other files
				if found {
					t.Fatalf("%s has code before and behind a file that it includes", name)
				}
				found = true
				text, f.mutants = mutate(text)
			}
			b.WriteString(source[x[0]:x[1]] + text)
		}
		changed := strings.Replace(b.String(), using, fmt.Sprintf("%s constant uint mutant_ [[function_constant(%d)]];", using, mutantConstant), 1)
		if !found || changed == b.String() {
			t.Fatalf("%s in %s: the source does not look as expected", name, host)
		}
		f.sources[host] = changed
	}
	return f
}

// mutated is a device whose shaders have one of their mutants. It fails for good at the first fault.
type mutated struct {
	strict
	file      *mutatedFile
	mutant    uint32
	libraries map[metal.Library]bool // with mutants
	fault     error
}

func (d *mutated) Library(name, source string) (metal.Library, error) {
	changed, ok := d.file.sources[name]
	if !ok {
		return d.Device.Library(name, source)
	}
	lib, err := d.Device.Library(name, changed)
	d.libraries[lib] = true
	return lib, err
}

func (d *mutated) Pipeline(lib metal.Library, kernel string, constants []metal.Constant) (metal.Pipeline, error) {
	if d.libraries[lib] {
		constants = append(constants, metal.Constant{Index: mutantConstant, Type: metal.ConstantUint, Bits: d.mutant})
	}
	return d.Device.Pipeline(lib, kernel, constants)
}

func (d *mutated) Submit(lists [][]metal.Launch, slot int) (metal.Ticket, error) {
	if d.fault != nil {
		return 0, d.fault
	}
	return d.strict.Submit(lists, slot)
}

func (d *mutated) Poll(t metal.Ticket) metal.Progress {
	if d.fault != nil {
		return metal.Progress{Ended: true, Err: d.fault}
	}
	p := d.Device.Poll(t)
	if p.Err != nil { // no test needs to try again
		d.fault = &metal.CommandError{Code: metal.CommandDeviceRemoved, Text: p.Err.Error()}
		p.Err = d.fault
	}
	return p
}

// open opens the device of a trial with a mutant, 0 for none.
func (f *mutatedFile) open(id uint32, x mutantTrial) (*mutated, error) {
	d, err := emulator.Open(emulator.Options{Checked: x.checked, Order: x.order, Seed: 3, Workers: 1, TimeLimit: 2 * time.Second, Quick: f.quick, Tensors: f.name == shaders.Tensors})
	return &mutated{strict: strict{Device: d}, file: f, mutant: id, libraries: map[metal.Library]bool{}}, err
}

// run runs a trial of a mutant and says what was noticed.
func (f *mutatedFile) run(id uint32, x mutantTrial) (noticed string, err error) {
	if x.fused && f.name != "attention" {
		return "", nil
	}
	d, err := f.open(id, x)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, d.Device.Close()) }()
	if slices.Contains([]string{"journal", "optimizer", "muon"}, f.name) && !x.bfloat {
		got, err := failures(d)
		if f.failures == nil { // of id 0, which comes first
			f.failures = got
		}
		if err != nil || !slices.Equal(got, f.failures) {
			return fmt.Sprintf("failed command buffers: %v %.500v, want %.500v", err, got, f.failures), nil
		}
	}
	options := metal.Options{BFloat16: x.bfloat, Variants: f.variants}
	if f.name == shaders.Tensors { // of products of bfloat only
		x.bfloat, options.BFloat16, options.Tensors = true, true, &metal.Tensors{Always: true}
	}
	if x.fused {
		options.Variants = fusedAttention(d)
	}
	if f.name == "layout" { // whose only use is to choose them
		options.Variants = nil
	}
	b, err := metal.New(d, options)
	if err != nil {
		return "", err
	}
	if f.name == "layout" {
		if v := b.Variants(); v.Degraded() {
			noticed = fmt.Sprint(v)
		}
		return noticed, nil
	}
	defer func() { // a source that is refused would leave the work to another variant
		if v := b.Variants(); noticed == "" && err == nil && !slices.Equal(v, options.Variants) {
			err = fmt.Errorf("%s is not run: %v", f.name, v)
		}
	}()
	d.watch(b)
	if f.name == shaders.Tensors {
		got, err := tensorProducts(b)
		if id == 0 && f.products == nil {
			f.products = got
		}
		if err == nil {
			err = nearProducts(got, f.products)
		}
		if err != nil {
			noticed = err.Error()
		}
		return noticed, nil
	}
	o := conformance.Options{Every: x.every, Subjects: subjectsOf[f.name], First: true}
	if x.bfloat {
		o.BFloat = metal.BFloats
	}
	conformance.Check(b, o, func(found conformance.Finding) bool {
		if len(found.Failures) > 0 {
			noticed = found.Subject + ": " + found.Failures[0]
		}
		return noticed == ""
	})
	return noticed, nil
}

// failures runs some steps that change weights in every way, again and again with another of their command buffers
// failing, and returns what that makes of the weights.
func failures(d *mutated) (outcomes []string, err error) {
	total := 0
	for at := 0; at <= total; at++ {
		f := &failing{Device: d}
		f.fail = func(submit int) *fault {
			if submit == at {
				return &fault{err: &metal.CommandError{Code: metal.CommandTimeout, Text: "too late"}}
			}
			return nil
		}
		b, err := metal.New(f, metal.Options{Target: 1})
		if err != nil {
			return nil, err
		}
		d.SetWindows(b.Window) // not watched: what a failed launch was to write is undefined
		outcome, err := newUpdates(b).run()
		if d.fault != nil {
			return nil, d.fault
		}
		if at == 0 {
			total = f.submits
		}
		outcomes = append(outcomes, fmt.Sprint(outcome, f.resets, err))
	}
	return outcomes, nil
}

// updates is a program that changes weights in every way, and its state.
type updates struct {
	program backend.Program
	results []float32
	state   []graph.Buffer
}

func newUpdates(b *metal.Metal) *updates {
	u := &updates{}
	r := graph.NewRecorder(1, 1)
	parameter := func(n int, value float32) graph.Tensor {
		w, err := b.NewBuffer(n)
		if err == nil {
			err = w.Write(0, slices.Repeat([]float32{value}, n))
		}
		if err != nil {
			panic(err)
		}
		u.state = append(u.state, w)
		return r.Parameter(w)
	}
	x, grad := r.Temporary(2, 3), r.Accumulator(2, 3)
	r.Record(&graph.Fill{Y: x, Value: 2})
	r.Record(&graph.Add{A: grad, B: x, Y: grad, Alpha: 1, Beta: 0.5})
	r.BeginUpdate()
	flat := grad.Flat()
	w, m, v := parameter(6, 1), parameter(6, 2), parameter(6, 3)
	rate := r.Scalar()
	r.Record(&graph.AdamW{X: w, Grad: flat, M: m, V: v, Rate: rate, Beta1: 0.9, Beta2: 0.99, Eps: 1e-3, Decay: 0.1})
	r.Record(&graph.EMA{X: flat, Mean: parameter(6, 4), Decay: rate})
	r.Record(&graph.Adafactor{X: parameter(6, 5), Grad: flat, ColV: parameter(6, 6), Rate: rate, Beta: rate, Eps: 1e-30, Clip: 1})
	matrix := parameter(6, 7)
	matrix.Rows, matrix.Cols, matrix.Stride = 2, 3, 3
	r.Record(&graph.Adafactor{X: matrix, Grad: grad, RowV: parameter(2, 8), ColV: parameter(3, 9), Rate: rate, Beta: rate, Eps: 1e-30, Clip: 1})
	by, momentum := parameter(6, 10), parameter(6, 11)
	by.Rows, by.Cols, by.Stride = 2, 3, 3
	momentum.Rows, momentum.Cols, momentum.Stride = 2, 3, 3
	r.Record(&graph.Muon{X: by, M: momentum, O: grad, Grad: grad, Rate: rate, Beta: 0.9, Scale: 1})
	r.Result(grad)
	p, err := b.Compile(r)
	if err != nil {
		panic(err)
	}
	u.program, u.results = p, make([]float32, r.ResultLen())
	return u
}

// run runs three steps, two of them at once, and returns their results and the weights.
func (u *updates) run() (weights []float32, err error) {
	defer u.program.Close()
	var errs []error
	run := func(s float32) { errs = append(errs, u.program.Run(backend.Args{Scalars: []float32{s}})) }
	take := func() { errs = append(errs, u.program.Results(u.results)); weights = append(weights, u.results...) }
	run(0.5)
	take()
	run(0.25)
	run(0.125)
	take()
	take()
	for _, s := range u.state {
		got := make([]float32, s.Len())
		if err := s.Read(0, got); err == nil {
			weights = append(weights, got...)
		}
		s.Free()
	}
	return weights, errors.Join(errs...)
}

// kill runs trials of a mutant until one notices it.
func (f *mutatedFile) kill(m mutant, trials []mutantTrial) (noticed string, err error) {
	if m.race { // the others would be in vain
		trials = slices.DeleteFunc(slices.Clone(trials), func(x mutantTrial) bool { return !x.checked })
	}
	for i, x := range trials {
		if noticed, err = f.run(m.id, x); noticed != "" || err != nil {
			return fmt.Sprint(i, " ", noticed), err
		}
	}
	return "", nil
}

//go:embed testdata/mutants.txt
var survivorsText string

// survivors are the mutants that may live, by name, with the reason.
func survivors(t *testing.T) map[string]string {
	all := map[string]string{}
	for i, line := range strings.Split(survivorsText, "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		name, reason, ok := strings.Cut(line, " | ")
		if !ok || reason == "" || all[name] != "" {
			t.Fatalf("mutants.txt:%d: want a mutant, \" | \" and the reason, each mutant once", i+1)
		}
		all[name] = reason
	}
	return all
}

// TestMutants puts faults into the shaders and wants them noticed. It runs all of them if COIL_MUTANTS is "all", those of
// some files if it is a list of names, and otherwise a few, in a short run those of a few files.
func TestMutants(t *testing.T) {
	if os.Getenv("COIL_MUTANTS_WORKER") != "" {
		mutantWorker(t)
		return
	}
	emulatortest.Open(t, emulator.Options{})
	want := os.Getenv("COIL_MUTANTS")
	names := slices.Concat(shaders.Parts(), shaders.Names(), []string{shaders.Tensors})
	every := 1
	switch want {
	case "":
		thorough.Skip(t)
		every = 60
	case "all":
	default:
		re := regexp.MustCompile(want)
		names = slices.DeleteFunc(names, func(n string) bool { return !re.MatchString(n) })
	}

	// Compiled in parallel, so that no worker waits for it; and nothing is noticed where nothing is wrong.
	files := map[string]*mutatedFile{}
	for _, n := range names {
		if len(subjectsOf[n]) == 0 {
			t.Fatalf("which subjects are those of shader %s?", n)
		}
		files[n] = mutateFile(t, n)
	}
	start := time.Now()
	var mu sync.Mutex
	parallel(slices.Sorted(maps.Keys(files)), func(n string) {
		for _, checked := range []bool{false, true} {
			if noticed, err := files[n].run(0, mutantTrial{checked: checked, every: 50}); noticed != "" || err != nil {
				mu.Lock()
				t.Errorf("%s without a fault: %s %v", n, noticed, err)
				mu.Unlock()
			}
		}
	})
	if t.Failed() {
		t.FailNow()
	}
	t.Logf("compiled in %.1f s", time.Since(start).Seconds())

	listed := survivors(t)
	type job struct {
		file string
		m    mutant
	}
	var jobs []job
	killed, alive, exists := map[string]int{}, map[string]int{}, map[string]bool{}
	for _, n := range names {
		for i, m := range files[n].mutants {
			name := n + ".metal " + m.name
			exists[name] = true
			if (i+len(n))%every == 0 {
				jobs = append(jobs, job{n, m})
			}
		}
	}
	if every == 1 {
		for name := range listed {
			if file, _, _ := strings.Cut(name, ".metal "); files[file] != nil && !exists[name] {
				t.Errorf("mutants.txt lists %s, which does not exist", name)
			}
		}
	}
	idle := make(chan *worker, len(jobs))
	seconds := map[string]float64{}
	parallel(jobs, func(j job) {
		var w *worker
		select {
		case w = <-idle:
		default:
			w = newWorker(t)
		}
		begin := time.Now()
		name := j.file + ".metal " + j.m.name
		trials := len(mutantTrials)
		if listed[name] != "" {
			trials = quickTrials
		}
		noticed := w.kill(j.file, j.m, trials)
		if !w.dead {
			idle <- w
		}
		mu.Lock()
		defer mu.Unlock()
		seconds[j.file] += time.Since(begin).Seconds()
		if testing.Verbose() {
			t.Logf("%.2f s: %s:%d: %s: %.160s", time.Since(begin).Seconds(), j.file, j.m.line, name, noticed)
		}
		switch {
		case noticed != "":
			if killed[j.file]++; listed[name] != "" {
				t.Errorf("mutants.txt lists %s, but it is noticed: %s", name, noticed)
			}
		case listed[name] != "":
			alive[j.file]++
		default:
			t.Errorf("%s:%d: nothing notices %s", j.file, j.m.line, name)
		}
	})
	for _, n := range names {
		t.Logf("%s: %d mutants, %d killed, %d listed, %.1f s", n, len(files[n].mutants), killed[n], alive[n], seconds[n])
	}
}

// parallel calls f for all of xs, on as many goroutines as there are processors.
func parallel[T any](xs []T, f func(T)) {
	next := make(chan T)
	var wg sync.WaitGroup
	for range max(2, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for x := range next {
				f(x)
			}
		})
	}
	for _, x := range xs {
		next <- x
	}
	close(next)
	wg.Wait()
}

// worker is a process that tries mutants: some of them bring it down.
type worker struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Scanner
	dead bool
}

const workerMark = "mutant: "

func newWorker(t *testing.T) *worker {
	w := &worker{cmd: exec.Command(os.Args[0], "-test.run=^TestMutants$")}
	w.cmd.Env = append(os.Environ(), "COIL_MUTANTS_WORKER=1", "GOMAXPROCS=1", "GOTRACEBACK=none")
	in, err := w.cmd.StdinPipe()
	if err != nil {
		t.Error(err)
	}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		t.Error(err)
	}
	w.in, w.out = in, bufio.NewScanner(out)
	w.out.Buffer(nil, 1<<20)
	if err := w.cmd.Start(); err != nil {
		t.Error(err)
	}
	t.Cleanup(func() {
		in.Close()
		w.cmd.Wait() // however it ended
	})
	return w
}

// kill says what has noticed a mutant, "" if nothing did.
func (w *worker) kill(file string, m mutant, trials int) string {
	fmt.Fprintln(w.in, file, m.id, trials)
	for w.out.Scan() {
		if s, ok := strings.CutPrefix(w.out.Text(), workerMark); ok {
			return s
		}
	}
	w.dead = true
	return "the process died"
}

// mutantWorker is the other side.
func mutantWorker(t *testing.T) {
	files := map[string]*mutatedFile{}
	for {
		var name string
		var id, trials int
		if _, err := fmt.Scanln(&name, &id, &trials); err != nil {
			return
		}
		f := files[name]
		if f == nil {
			f = mutateFile(t, name)
			if noticed, err := f.run(0, mutantTrial{every: 50}); noticed != "" || err != nil {
				t.Fatal(noticed, err)
			}
			files[name] = f
		}
		noticed, err := f.kill(f.mutants[id-1], mutantTrials[:trials])
		if err != nil {
			noticed = err.Error()
		}
		fmt.Println(workerMark + strings.Join(strings.Fields(noticed), " "))
	}
}
