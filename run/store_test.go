package run

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"coil/thorough"
)

// A changed byte of run.json is noticed, wherever it is, and takes nothing away but what the file said.
func TestDamagedInfo(t *testing.T) {
	t.Parallel()
	r := newRun(t)
	saveSteps(t, r, 3)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(r.Path(), infoName)
	good := must(os.ReadFile(path))(t)
	if v := must(View(r.Path()))(t); v.Damage() != nil {
		t.Fatal(v.Damage())
	}
	check := func(what string) {
		t.Helper()
		v, err := Open(r.Path())
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		defer v.Close()
		if v.Damage() == nil {
			t.Fatalf("%s was not noticed", what)
		}
		if c, err := v.Latest(); err != nil || c.Step != 3 {
			t.Fatalf("%s: the newest checkpoint is %d, %v", what, c.Step, err)
		}
		if v.Identity() != r.Identity() {
			t.Fatalf("%s: the identity is %q", what, v.Identity())
		}
	}
	every := thorough.Every(t, 5, "bytes")
	for i := 0; i < len(good); i += every {
		bad := slices.Clone(good)
		bad[i] ^= 1 << (i % 8)
		if err := os.WriteFile(path, bad, 0o666); err != nil {
			t.Fatal(err)
		}
		check(fmt.Sprintf("byte %d of %q", i, bad))
	}
	for _, n := range []int{0, 1, len(good) / 2, len(good) - 1} {
		if err := os.WriteFile(path, good[:n], 0o666); err != nil {
			t.Fatal(err)
		}
		check(fmt.Sprintf("a cut after %d bytes", n))
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	check("the loss")
	if err := syscall.Mkfifo(path, 0o666); err != nil {
		t.Fatal(err)
	}
	check("a pipe")
}

// A changed byte of the configuration is noticed, and one that coil has written is not.
func TestEdited(t *testing.T) {
	r := newRun(t)
	path := filepath.Join(r.Path(), configName)
	for range 2 {
		if edited := must(r.Edited())(t); edited {
			t.Fatal("a new configuration passes for an edited one")
		}
		good := must(os.ReadFile(path))(t)
		for i := range good {
			bad := slices.Clone(good)
			bad[i] ^= 1
			if err := os.WriteFile(path, bad, 0o666); err != nil {
				t.Fatal(err)
			}
			if edited := must(r.Edited())(t); !edited {
				t.Fatalf("byte %d was changed, and that was not noticed", i)
			}
		}
		if err := r.SetConfig([]byte("steps = 2\n")); err != nil {
			t.Fatal(err)
		}
		if text := must(r.Config())(t); string(text) != "steps = 2\n" {
			t.Errorf("the configuration is %q", text)
		}
	}
	if err := os.WriteFile(path, []byte("steps = 2\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if edited := must(r.Edited())(t); !edited {
		t.Error("a configuration without a seal passes for one that coil has written")
	}
}

// A whole checkpoint of another run is refused, though its steps and sizes fit.
func TestOtherRunsCheckpoint(t *testing.T) {
	r, other := newRun(t), newRun(t)
	saveSteps(t, r, 3, 4)
	saveSteps(t, other, 5)
	if err := os.Rename(other.checkpointPath(5), r.checkpointPath(5)); err != nil {
		t.Fatal(err)
	}
	_, err := r.Latest()
	if !errors.Is(err, ErrOtherRun) || !errors.Is(err, ErrDamaged) {
		t.Fatal(err)
	}
	wantError(t, err, "of step 5, is of another run", "that of step 4 is whole")
	if c, passed, err := r.LatestWhole(); err != nil || c.Step != 4 || len(passed) != 1 {
		t.Errorf("the newest whole one is of step %d, %v, %v", c.Step, passed, err)
	}
	if got := wholeSteps(t, r); !slices.Equal(got, []int{3, 4}) {
		t.Errorf("whole are %v", got)
	}
}

// A run whose events mention checkpoints does not pass for one without, unless it went back to its beginning.
func TestLostCheckpoints(t *testing.T) {
	r := newRun(t)
	step := func(step int) {
		t.Helper()
		saveSteps(t, r, step)
		if err := r.Append(Event{Kind: KindCheckpoint, Step: step}); err != nil {
			t.Fatal(err)
		}
	}
	step(3)
	for _, lose := range []func() error{func() error { return os.RemoveAll(r.checkpointPath(3)) }, func() error { return os.Remove(r.checkpointsPath()) }} {
		if err := lose(); err != nil {
			t.Fatal(err)
		}
		for _, latest := range []func() error{func() error { _, err := r.Latest(); return err }, func() error { _, _, err := r.LatestWhole(); return err }} {
			err := latest()
			if !errors.Is(err, ErrLost) || errors.Is(err, ErrNoCheckpoint) {
				t.Fatal(err)
			}
			wantError(t, err, "mentions one of step 3", "coil resume "+r.Path()+" --step 0")
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = must(Open(r.Path()))(t)
	defer r.Close()
	step(4)
	if err := r.Rewind(0); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Latest(); !errors.Is(err, ErrNoCheckpoint) {
		t.Errorf("after going back to the beginning: %v", err)
	}
	if err := r.Prune(1); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Latest(); !errors.Is(err, ErrNoCheckpoint) {
		t.Errorf("and after removing what was done: %v", err)
	}
}

// Nothing is written into what a link leads to.
func TestLinks(t *testing.T) {
	for _, name := range []string{lockName, eventsName, controlName, configName, configName + temporarySuffix, infoName + temporarySuffix, digestName, digestName + temporarySuffix} {
		t.Run(name, func(t *testing.T) {
			r := newRun(t)
			if err := r.Append(note("x")); err != nil {
				t.Fatal(err)
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			precious := filepath.Join(t.TempDir(), "precious")
			if err := os.WriteFile(precious, []byte("precious"), 0o666); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(r.Path(), name)
			os.Remove(path)
			if err := os.Symlink(precious, path); err != nil {
				t.Fatal(err)
			}
			again, err := Open(r.Path())
			if err == nil {
				defer again.Close()
				err = errors.Join(again.Append(note("y")), again.SetConfig([]byte("z")), again.digest.write(again.path, again.events), again.Send(Stop))
			}
			if name == lockName || name == eventsName || name == controlName {
				wantError(t, err, path, "is a link", "remove the link")
			} else if err != nil { // a new file takes the link's place
				t.Error(err)
			}
			if text := must(os.ReadFile(precious))(t); string(text) != "precious" {
				t.Errorf("the file behind the link holds %q", text)
			}
		})
	}
}

// What is no ordinary file is refused at once: reading it could wait for ever, or fill the memory.
func TestNotFiles(t *testing.T) {
	for _, name := range []string{configName, eventsName, controlName, "model"} {
		for kind, make := range map[string]func(path string) error{
			"is a pipe": func(path string) error { return syscall.Mkfifo(path, 0o666) },
			"a device":  func(path string) error { return os.Symlink("/dev/zero", path) },
			"a folder":  func(path string) error { return os.Mkdir(path, 0o777) },
		} {
			r := newRun(t)
			saveSteps(t, r, 3)
			path := filepath.Join(r.Path(), name)
			if name == "model" {
				path = filepath.Join(r.checkpointPath(3), name)
			}
			os.Remove(path)
			if err := make(path); err != nil {
				t.Fatal(err)
			}
			var err error
			switch name {
			case configName:
				_, err = r.Config()
			case eventsName:
				_, err = r.Events()
			case controlName:
				_, _, err = r.NextCommand()
			default:
				_, err = r.Latest()
			}
			wantError(t, err, path, strings.TrimPrefix(kind, "is "))
			r.Close()
		}
	}
	path := filepath.Join(t.TempDir(), "giant")
	f := must(os.Create(path))(t)
	defer f.Close()
	if err := f.Truncate(1 << 40); err != nil {
		t.Skip(err)
	}
	_, err := ReadFile(path, MostText)
	wantError(t, err, "1099511627776 bytes")
}

// Events that somebody has deleted, replaced or cut while the run is trained are noticed, and what can be saved of them is.
func TestEventsTakenAway(t *testing.T) {
	for what, do := range map[string]func(path string) error{
		"was deleted and written again": os.Remove,
		"was replaced by another": func(path string) error {
			return errors.Join(os.WriteFile(path+".new", []byte(`{"kind":"note","text":"theirs"}`+"\n"), 0o666), os.Rename(path+".new", path))
		},
		"was cut": func(path string) error { return os.Truncate(path, 0) },
	} {
		r := newRun(t)
		if err := r.Append(note("before")); err != nil {
			t.Fatal(err)
		}
		if err := do(eventsPath(r)); err != nil {
			t.Fatal(err)
		}
		r.looked = time.Time{}
		if err := r.Append(note("after")); err != nil {
			t.Fatal(err)
		}
		h := must(r.History())(t)
		var texts []string
		for _, e := range h.Log {
			texts = append(texts, e.Text)
		}
		want := []string{eventsName + " " + what + " while the run was training", "after"}
		switch {
		case strings.HasPrefix(what, "was deleted"):
			want = slices.Insert(want, 0, "before")
		case strings.HasPrefix(what, "was replaced"):
			want = slices.Insert(want, 0, "theirs")
		}
		if !slices.Equal(texts, want) {
			t.Errorf("the events are %q, want %q", texts, want)
		}
	}
	r := newRun(t)
	if err := os.RemoveAll(r.Path()); err != nil {
		t.Fatal(err)
	}
	r.looked = time.Time{}
	wantError(t, r.Append(note("x")), "the folder of the run is gone")
}

// longEvents writes the events of a run of many steps, with an evaluation now and then and one peak of the loss.
func longEvents(t *testing.T, r *Run, reports int) {
	t.Helper()
	var b bytes.Buffer
	for i := 1; i <= reports; i++ {
		loss := 1 + 1/float64(i)
		if i == reports/3 {
			loss = 77
		}
		fmt.Fprintf(&b, `{"kind":"train","step":%d,"time":"2026-11-23T15:20:31.123Z","values":{"accuracy":0.5,"grad_norm":0.7,"loss":%g,"lr":0.001,"seconds":%d,"tokens_per_second":100000}}`+"\n", 10*i, loss, i)
		if i%(reports/100) == 0 {
			fmt.Fprintf(&b, `{"kind":"eval","step":%d,"time":"2026-11-23T15:20:31.123Z","values":{"accuracy":0.5,"loss":1}}`+"\n", 10*i)
			fmt.Fprintf(&b, `{"kind":"checkpoint","step":%d,"time":"2026-11-23T15:20:31.123Z"}`+"\n", 10*i)
		}
	}
	write(t, r, b.String())
}

// A run of any length is opened and read in bounded memory, and keeps everything important.
func TestLongRun(t *testing.T) {
	every := thorough.Every(t, 4, "reports")
	reports := 200_000 / every
	r := newRun(t)
	longEvents(t, r, reports)
	size := must(os.Stat(eventsPath(r)))(t).Size()
	check := func(what string, most uint64) {
		t.Helper()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		h := must(must(View(r.Path()))(t).History())(t)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > most {
			t.Errorf("%s: %d bytes were allocated to read %d", what, used, size)
		}
		loss := h.Train.Points(Loss.Key())
		if len(loss) > CurvePoints || len(h.Log) > mostLogged {
			t.Errorf("%s: %d points and %d lines of the log, want at most %d and %d", what, len(loss), len(h.Log), CurvePoints, mostLogged)
		}
		peak, evals, last := 0.0, len(h.HeldOut.Points(Loss.Key())), 0
		for _, p := range loss {
			if int(p.Step) <= last {
				t.Fatalf("%s: step %g after %d", what, p.Step, last)
			}
			last = int(p.Step)
			peak = max(peak, p.Y)
		}
		if peak != 77 || evals != 100 || last != 10*reports {
			t.Errorf("%s: the peak is %g, there are %d evaluations, the last step is %d", what, peak, evals, last)
		}
		if step, ok := h.Saved(); !ok || step != 10*reports {
			t.Errorf("%s: the newest checkpoint is said to be of step %d", what, step)
		}
		if s := h.SecondsAt(10 * reports); s != float64(reports) {
			t.Errorf("%s: training took %g seconds", what, s)
		}
	}
	check("without a digest", 100<<20/uint64(every))
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	w := must(Open(r.Path()))(t)
	if err := w.digest.write(w.path, w.events); err != nil {
		t.Fatal(err)
	}
	check("with a digest", 40<<20/uint64(every))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}

	// With it, only the rest is read.
	f := must(os.Open(eventsPath(r)))(t)
	defer f.Close()
	d := readDigest(r.Path(), f)
	if d.at != size || len(d.kept) > 2*mostReports {
		t.Errorf("the digest is of %d bytes and has %d events", d.at, len(d.kept))
	}

	// A digest of other events, or a damaged one, counts for nothing.
	path := filepath.Join(r.Path(), digestName)
	good := must(os.ReadFile(path))(t)
	for _, i := range []int{10, len(good) / 2, len(good) - 2} {
		bad := slices.Clone(good)
		bad[i] ^= 1
		if err := os.WriteFile(path, bad, 0o666); err != nil {
			t.Fatal(err)
		}
		if d := readDigest(r.Path(), f); d.at != 0 {
			t.Errorf("a digest with byte %d changed counts", i)
		}
	}
	if err := errors.Join(os.WriteFile(path, good, 0o666), os.Truncate(eventsPath(r), size-1000)); err != nil {
		t.Fatal(err)
	}
	if d := readDigest(r.Path(), f); d.at != 0 {
		t.Error("a digest of events that were cut counts")
	}
}

// A run that is trained writes its digest as it goes, and it is what reading all would make.
func TestDigestGrows(t *testing.T) {
	r := newRun(t)
	e := Event{Kind: KindTrain, Time: time.UnixMilli(0), Text: strings.Repeat("x", 2000)}
	for step := range 2*digestEvery/2000 + 100 {
		e.Step, e.Train = step, &Train{Loss: new(Number(step % 7))}
		if step%1000 == 999 {
			if err := r.Append(Event{Kind: KindResume, Step: step - 10}); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.Append(e); err != nil {
			t.Fatal(err)
		}
	}
	f := must(os.Open(eventsPath(r)))(t)
	defer f.Close()
	written := readDigest(r.Path(), f)
	if written.at < digestEvery || r.digest.at-written.at > digestEvery {
		t.Errorf("the digest is of %d bytes, and there are %d", written.at, r.digest.at)
	}
	var whole digest
	if err := errors.Join(whole.follow(f), written.follow(f)); err != nil {
		t.Fatal(err)
	}
	for name, d := range map[string]digest{"written": written, "kept": r.digest} {
		if d.at != whole.at || d.lines != whole.lines || len(d.kept) != len(whole.kept) {
			t.Fatalf("%s: %d bytes, %d lines, %d events; want %d, %d, %d", name, d.at, d.lines, len(d.kept), whole.at, whole.lines, len(whole.kept))
		}
		for i, k := range d.kept {
			if !bytes.Equal(k.line, whole.kept[i].line) {
				t.Fatalf("%s: event %d differs", name, i)
			}
		}
	}
}

// Events of another program can't make a digest large.
func TestDigestOfAnything(t *testing.T) {
	var d digest
	for i := range 4000 {
		for _, line := range []string{`{"kind":"start"}`, `{"kind":"setup"}`, `{"kind":"checkpoint"}`, `{"kind":"new"}`, `{"kind":"train","step":x}`, `{"kind":"train","step":1,"values":{"loss":"NaN"}}`,
			fmt.Sprintf(`{"kind":"eval","step":%d}`, i), `{}`, `}`, "", `{"kind":"note","text":"` + strings.Repeat("x", longestKept) + `"}`} {
			if i < 3 || len(line) < 100 {
				d.add([]byte(line + "\n"))
			}
		}
	}
	if n := len(d.kept); n > mostReports+mostEvaluations+mostOthers {
		t.Errorf("%d events are kept", n)
	}
	for _, k := range d.kept {
		if len(k.line) > longestKept {
			t.Fatalf("a line of %d bytes is kept", len(k.line))
		}
	}
}

// What a run has done and taken back does not count as time of training.
func TestSeconds(t *testing.T) {
	r := newRun(t)
	for _, e := range []Event{{Kind: KindTrain, Step: 5, Train: &Train{Seconds: new(Number(5))}}, {Kind: KindCheckpoint, Step: 6, Seconds: new(Number(6))},
		{Kind: KindTrain, Step: 10, Train: &Train{Seconds: new(Number(10))}}, {Kind: KindResume, Step: 6}, {Kind: KindSetup, Step: 6, Seconds: new(Number(10))}} {
		if err := r.Append(e); err != nil {
			t.Fatal(err)
		}
	}
	h := must(r.History())(t)
	for step, want := range map[int]float64{4: 0, 5: 5, 6: 6, 10: 6} {
		if got := h.SecondsAt(step); got != want {
			t.Errorf("%g seconds until step %d, want %g", got, step, want)
		}
	}
}

// What decodeManifest accepts names only files of its own folder, and nothing makes it panic.
func FuzzManifest(f *testing.F) {
	for _, m := range []manifest{{Format: 2, Run: "x", Step: 5, Files: []CheckpointFile{{"model", 3, "00000000"}}}, {Format: 1}, {Format: 3}} {
		b, err := Seal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		_, body, _ := bytes.Cut(b, []byte("\n"))
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		sealed := append(fmt.Appendf(nil, sealFormat, crc32.Checksum(body, castagnoli)), body...)
		for _, b := range [][]byte{body, sealed} {
			m, err := decodeManifest(b)
			if err != nil {
				continue
			}
			for _, file := range m.Files {
				if filepath.Base(file.Name) != file.Name || file.Name == manifestName {
					t.Fatalf("a file of the name %q", file.Name)
				}
			}
		}
	})
}

// Whatever is in control.jsonl, only commands come out of it, and reading continues after it.
func FuzzControl(f *testing.F) {
	for _, s := range []string{"", "\n", `{"command":"stop"}` + "\n", `{"command":"explode"}` + "\n", `{"command":"pause"`, strings.Repeat("x", longestCommand+1)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), controlName)
		q := commandReader{path: path}
		if err := os.WriteFile(path, append(b, "\n{\"command\":\"evaluate\"}\n"...), 0o666); err != nil {
			t.Fatal(err)
		}
		for range len(b)/longestCommand + 2 {
			if err := q.read(); err != nil {
				t.Fatal(err)
			}
		}
		for _, asked := range q.queued {
			if !slices.Contains(Commands(), asked.Command) {
				t.Fatalf("command %q", asked.Command)
			}
		}
		if n := len(q.queued); n == 0 || q.queued[n-1].Command != Evaluate {
			t.Fatalf("the last of %d commands is not that which was sent", n)
		}
	})
}
