package experiment

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"coil/golden"
	"coil/thorough"

	"github.com/google/go-cmp/cmp"
)

// cluster is an engine that lacks nothing.
var cluster = Cluster{Program: "/opt/coil/bin/coil", Jobs: 4, CPUs: 2, Image: "registry.example.org/coil:1", Claim: "experiments", Mount: "/experiments"}

// written is the text of the manifest that f writes with name.
func written(t *testing.T, f *Folder, name string, write func(Cluster) (string, error), c Cluster) string {
	t.Helper()
	if _, err := write(c); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(f.Path, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The manifests are those in testdata. The engines' view of them is tested elsewhere: .ci/run validates the Job in testdata against
// the schemas of Kubernetes, and TestSlurm in cmd/coil runs such a script with Slurm.
func TestManifests(t *testing.T) {
	root := t.TempDir()
	f := makeFolder(t, root, tiny)
	for name, write := range map[string]func(Cluster) (string, error){"slurm.sh": f.Slurm, "kubernetes.yaml": f.Kubernetes} {
		got := strings.ReplaceAll(written(t, f, name, write, cluster), root, "/shared/experiments")
		golden.Compare(t, name, got)
	}
}

// finish makes a cell a finished one, and fail one that has failed.
func finish(t *testing.T, f *Folder, i int) {
	t.Helper()
	begin(t, f, i, `{"kind":"end"}`)
	if err := writeMeasures(f.RunPath(f.Cells[i]), Measures{}); err != nil {
		t.Fatal(err)
	}
}

func fail(t *testing.T, f *Folder, i int) {
	t.Helper()
	begin(t, f, i, `{"kind":"error","text":"diverged"}`)
}

func begin(t *testing.T, f *Folder, i int, event string) {
	t.Helper()
	path := f.RunPath(f.Cells[i])
	if err := os.MkdirAll(path, 0o777); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"run.json": "{}", "config.toml": string(f.Cells[i].Config.Encode()), "events.jsonl": event + "\n"} {
		if err := os.WriteFile(filepath.Join(path, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// Only cells that are left are submitted, those that have failed only if they are asked for; and nothing if nothing is left.
func TestWhatIsSubmitted(t *testing.T) {
	f := makeFolder(t, t.TempDir(), tiny)
	finish(t, f, 1)
	finish(t, f, 4)
	fail(t, f, 2)
	array := func(c Cluster) string {
		_, after, _ := strings.Cut(written(t, f, "slurm.sh", f.Slurm, c), "#SBATCH --array=")
		line, _, _ := strings.Cut(after, "\n")
		return line
	}
	for _, k := range []struct {
		c    Cluster
		want string
	}{{Cluster{}, "0,3,5"}, {Cluster{Jobs: 2}, "0,3,5%2"}, {Cluster{Retry: true}, "0,2-3,5"}} {
		if got := array(k.c); got != k.want {
			t.Errorf("%+v: the array is %s, want %s", k.c, got, k.want)
		}
	}
	for _, i := range []int{0, 3, 5} {
		finish(t, f, i)
	}
	const want = "there is nothing to submit: 6 cells, 5 finished, 1 failed; --retry trains failed cells again"
	for _, write := range []func(Cluster) (string, error){f.Slurm, f.Kubernetes} {
		if _, err := write(cluster); err == nil || err.Error() != want {
			t.Errorf("the error is %v, want %s", err, want)
		}
	}
	finish(t, f, 2)
	if _, err := f.Slurm(cluster); err == nil || err.Error() != "there is nothing to submit: 6 cells, 6 finished" {
		t.Errorf("%v", err)
	}
}

// An array has no index of MaxArraySize or more: cells beyond are in another, with an index that its script adds to.
func TestSlurmArrays(t *testing.T) {
	thorough.Skip(t)
	f := makeFolder(t, t.TempDir(), tiny)
	finish(t, f, 1)
	submit, err := f.Slurm(Cluster{MaxArraySize: 4, Jobs: 5})
	if want := "sbatch " + f.Path + "/slurm.sh && sbatch " + f.Path + "/slurm-2.sh"; err != nil || submit != want {
		t.Errorf("%s, %v, want %s", submit, err, want)
	}
	for name, want := range map[string][]string{
		"slurm.sh":   {"#SBATCH --array=0,2-3%2\n", "/slurm-%a.txt\n", ` "$SLURM_ARRAY_TASK_ID" --workers`},
		"slurm-2.sh": {"#SBATCH --array=0-1%2\n", "/slurm-4+%a.txt\n", ` "$((SLURM_ARRAY_TASK_ID + 4))" --workers`},
	} {
		text, err := os.ReadFile(filepath.Join(f.Path, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range want {
			if !strings.Contains(string(text), w) {
				t.Errorf("%s has no %q:\n%s", name, w, text)
			}
		}
	}
	var seeds []string
	for n := range 400 {
		seeds = append(seeds, fmt.Sprint(n))
	}
	f = makeFolder(t, t.TempDir(), strings.Replace(tiny, "[1, 2]", "["+strings.Join(seeds, ", ")+"]", 1))
	if submit, err = f.Slurm(Cluster{}); err != nil || !strings.HasSuffix(submit, "/slurm-2.sh") {
		t.Errorf("1200 cells are submitted with %s, %v", submit, err)
	}
	text, err := os.ReadFile(filepath.Join(f.Path, "slurm.sh"))
	if err != nil || !strings.Contains(string(text), "#SBATCH --array=0-1000\n") {
		t.Errorf("%v:\n%s", err, text)
	}
	text, err = os.ReadFile(filepath.Join(f.Path, "slurm-2.sh"))
	if err != nil || !strings.Contains(string(text), "#SBATCH --array=0-198\n") {
		t.Errorf("%v:\n%s", err, text)
	}
}

// What an engine can't have is an error that says what to do, and nothing is written.
func TestManifestRefusals(t *testing.T) {
	with := func(change func(*Cluster)) Cluster {
		c := cluster
		change(&c)
		return c
	}
	for _, k := range []struct {
		root       string
		c          Cluster
		kubernetes bool
		want       string
	}{
		{"a", with(func(c *Cluster) { c.Image = "" }), true, "--image"},
		{"a", with(func(c *Cluster) { c.Claim = "" }), true, "--claim"},
		{"a", with(func(c *Cluster) { c.Mount = "experiments" }), true, "--mount experiments: "},
		{"a", with(func(c *Cluster) { c.Mount = "/a:b" }), true, "--mount /a:b: "},
		{"a\nb", cluster, false, `a\nb/tiny" has a character that a manifest can't have: choose another folder with --out`},
		{"a\nb", cluster, true, "a character that a manifest can't have"},
		{"a\u2028b", cluster, true, "a character that a manifest can't have"},
		{"a\xffb", cluster, true, "a character that a manifest can't have"},
		{`a\b`, cluster, false, "a backslash, which sbatch can't have there: choose another folder with --out"},
	} {
		f := makeFolder(t, filepath.Join(t.TempDir(), k.root), tiny)
		write, name := f.Slurm, "slurm.sh"
		if k.kubernetes {
			write, name = f.Kubernetes, "kubernetes.yaml"
		}
		if _, err := write(k.c); err == nil || !strings.Contains(err.Error(), k.want) {
			t.Errorf("%q, %+v: the error is %v, want %s", k.root, k.c, err, k.want)
		}
		if _, err := os.Stat(filepath.Join(f.Path, name)); err == nil {
			t.Errorf("%q: there is a manifest all the same", k.root)
		}
	}
}

// odd is a name for a folder with everything in it that means something to a shell, to sbatch or to Kubernetes.
const odd = `o'd d "q" $HOME $$ $(X) %a %% é;#&`

// A title of several lines can't leave its comment.
func TestTitleIsAComment(t *testing.T) {
	f := makeFolder(t, t.TempDir(), strings.Replace(tiny, `"A tiny grid"`, `"A\nexit 7 \r\u2028 \u0000 grid"`, 1))
	for name, write := range map[string]func(Cluster) (string, error){"slurm.sh": f.Slurm, "kubernetes.yaml": f.Kubernetes} {
		if text := written(t, f, name, write, cluster); !strings.Contains(text, "# A exit 7 grid\n") {
			t.Errorf("%s:\n%s", name, text)
		}
	}
}

func TestKubernetesQuoting(t *testing.T) {
	f := makeFolder(t, t.TempDir(), strings.Replace(tiny, `"tiny"`, `"Tiny_`+strings.Repeat("x", 44)+`.grid"`, 1))
	text := written(t, f, "kubernetes.yaml", f.Kubernetes, Cluster{Program: "/opt/" + odd, Image: "a\tb", Claim: "c", Mount: "/" + odd + "/"})
	for _, want := range []string{
		`command: ["/opt/o'd d \"q\" $$HOME $$$$ $$(X) %a %% é;#&", experiment, cell, "/o'd d \"q\" $$HOME $$$$ $$(X) %a %% é;#&/Tiny_x`,
		`mountPath: "/o'd d \"q\" $HOME $$ $(X) %a %% é;#&/"`,
		`image: "a\tb"`,
		"\n  generateName: coil-tiny-" + strings.Repeat("x", 40) + "-\n",
		"\n  parallelism: 6\n",
		`--workers, "1"]`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %s in\n%s", want, text)
		}
	}
}

// script is a script of Slurm's that a shell runs here, with stand-ins for coil and scontrol.
type script struct {
	*exec.Cmd
	folder *Folder
	said   string // the file in which the stand-ins say how they were called
}

// newScript makes a script with unusual characters in all paths. coil is the body of the stand-in for coil.
func newScript(t *testing.T, shell, coil string) *script {
	t.Helper()
	root := filepath.Join(t.TempDir(), odd)
	s := &script{folder: makeFolder(t, root, tiny), said: filepath.Join(t.TempDir(), "said")}
	bin := t.TempDir()
	for path, body := range map[string]string{filepath.Join(root, "coil"): coil, filepath.Join(bin, "scontrol"): ""} {
		text := "#!/bin/sh\nfor word in " + filepath.Base(path) + ` "$@"; do printf '%s\n' "$word" >>"$SAID"; done` + "\n" + body
		if err := os.WriteFile(path, []byte(text), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	submit, err := s.folder.Slurm(Cluster{Program: filepath.Join(root, "coil"), CPUs: 3})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(s.folder.Path, "slurm.sh")
	if out, err := exec.Command("sh", "-c", `sbatch() { printf %s "$1"; }; `+submit).Output(); err != nil || string(out) != path {
		t.Errorf("%s submits %q, %v", submit, out, err)
	}
	if out, err := exec.Command(shell, "-n", path).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%s -n: %s, %v", shell, out, err)
	}
	s.Cmd = exec.Command(shell, path)
	s.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "SAID="+s.said, "again=yes",
		"SLURM_ARRAY_JOB_ID=70", "SLURM_ARRAY_TASK_ID=5", "SLURM_JOB_ID=76", "SLURM_CPUS_PER_TASK=3")
	s.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return s
}

// words returns what the stand-ins have written.
func (s *script) words() []string {
	text, _ := os.ReadFile(s.said) // before they write anything, there is no file
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// await waits until a stand-in has written a word.
func (s *script) await(t *testing.T, word string) {
	t.Helper()
	for start := time.Now(); !slices.Contains(s.words(), word); time.Sleep(2 * time.Millisecond) {
		if time.Since(start) > 20*time.Second {
			t.Fatalf("nothing has said %s: %q", word, s.words())
		}
	}
}

// eachShell runs a test with the shells that are sh somewhere.
func eachShell(t *testing.T, test func(t *testing.T, shell string)) {
	for _, shell := range []string{"sh", "dash", "bash"} {
		if _, err := exec.LookPath(shell); err == nil {
			t.Run(shell, func(t *testing.T) {
				t.Parallel()
				test(t, shell)
			})
		}
	}
}

// The script calls coil with the right words, and ends as it does.
func TestSlurmScript(t *testing.T) {
	eachShell(t, func(t *testing.T, shell string) {
		for _, code := range []int{0, 1, 143} {
			s := newScript(t, shell, fmt.Sprintf("exit %d", code))
			out, err := s.CombinedOutput()
			if got := s.ProcessState.ExitCode(); got != code || len(out) > 0 {
				t.Errorf("it ends with %d, want %d: %s, %v", got, code, out, err)
			}
			if d := cmp.Diff([]string{"coil", "experiment", "cell", s.folder.Path, "5", "--workers", "3"}, s.words()); d != "" {
				t.Error(d)
			}
		}
	})
}

// saving is a cell that slowly saves a checkpoint when it is asked to stop.
const saving = `trap 'echo told >>"$SAID"; sleep 0.1; echo saved >>"$SAID"; exit 143' TERM
echo trains >>"$SAID"
while :; do sleep 0.01; done
`

// USR1, which Slurm sends to the shell alone, stops the cell, and queues its own job of the array again when it has saved.
func TestSlurmBeforeTheTimeLimit(t *testing.T) {
	eachShell(t, func(t *testing.T, shell string) {
		s := newScript(t, shell, saving)
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
		s.await(t, "trains")
		if err := s.Process.Signal(syscall.SIGUSR1); err != nil {
			t.Fatal(err)
		}
		if err := s.Wait(); err != nil {
			t.Error(err)
		}
		if d := cmp.Diff([]string{"trains", "told", "saved", "scontrol", "requeue", "70_5"}, s.words()[7:]); d != "" {
			t.Error(d)
		}
	})
}

// A cell that is finished, or fails, after USR1 is not queued again.
func TestSlurmFinishedBeforeTheTimeLimit(t *testing.T) {
	eachShell(t, func(t *testing.T, shell string) {
		for _, code := range []int{0, 3} {
			s := newScript(t, shell, strings.ReplaceAll(saving, "exit 143", fmt.Sprintf("exit %d", code)))
			if err := s.Start(); err != nil {
				t.Fatal(err)
			}
			s.await(t, "trains")
			if err := s.Process.Signal(syscall.SIGUSR1); err != nil {
				t.Fatal(err)
			}
			s.Wait()
			if got := s.ProcessState.ExitCode(); got != code {
				t.Errorf("it ends with %d, want %d", got, code)
			}
			if d := cmp.Diff([]string{"trains", "told", "saved"}, s.words()[7:]); d != "" {
				t.Error(d)
			}
		}
	})
}

// After TERM, which Slurm sends to the shell and the cell, the shell waits for the cell without signalling it, and leaves it to
// Slurm whether to queue the job again, even if it was about to do so.
func TestSlurmEndsTheJob(t *testing.T) {
	eachShell(t, func(t *testing.T, shell string) {
		for _, first := range []syscall.Signal{0, syscall.SIGUSR1} {
			s := newScript(t, shell, saving)
			if err := s.Start(); err != nil {
				t.Fatal(err)
			}
			s.await(t, "trains")
			if first != 0 {
				if err := s.Process.Signal(first); err != nil {
					t.Fatal(err)
				}
				s.await(t, "told")
				if err := s.Process.Signal(syscall.SIGTERM); err != nil {
					t.Fatal(err)
				}
			} else if err := syscall.Kill(-s.Process.Pid, syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			s.Wait()
			if got := s.ProcessState.ExitCode(); got != 143 {
				t.Errorf("it ends with %d", got)
			}
			if d := cmp.Diff([]string{"trains", "told", "saved"}, s.words()[7:]); d != "" {
				t.Error(d)
			}
		}
	})
}
