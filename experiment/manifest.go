package experiment

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"unicode"
	"unicode/utf8"

	"coil/run"
	"coil/text"
)

// Cluster is what the manifest of an engine that trains the cells elsewhere needs to know. The folder must be on a disk that
// all its machines share.
type Cluster struct {
	Program string // the path of coil there
	Jobs    int    // cells at a time; 0 leaves it to the engine
	CPUs    int    // cores of a cell
	Retry   bool   // cells that have failed too

	// MaxArraySize is Slurm's setting: one more than the largest index of a job in an array. 0 is SlurmArraySize.
	MaxArraySize int

	// Kubernetes only.
	Image string
	Claim string // the PersistentVolumeClaim that holds the folder's parent
	Mount string // where that is mounted
}

// SlurmArraySize is what MaxArraySize is where a cluster's configuration does not say.
const SlurmArraySize = 1001

// slurm is a batch script for an array of jobs. To Slurm, a job that stops before its time limit has failed, and Slurm queues it
// again only on request. So Slurm sends USR1 two minutes before the limit, only to the shell, and the job queues itself
// again when the cell has saved a checkpoint. When Slurm ends a job, for a more urgent one or by scancel, both shell and cell get
// SIGTERM. The job must not queue itself then: Slurm does so after preemption, and after scancel the job must stay away.
var slurm = template.Must(template.New("slurm").Funcs(template.FuncMap{"line": line, "shell": shell, "sbatch": sbatch}).Parse(`#!/bin/sh
# {{line .Grid.Title}}
# Submit with: {{.Submit}}
# Options of sbatch, such as --time and --partition, stand before the path.
# The results: coil experiment {{shell .GridFile}} --out {{shell .Parent}} --results
#SBATCH --job-name={{.Name}}
#SBATCH --array={{.Array}}
#SBATCH --cpus-per-task={{.CPUs}}
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output={{sbatch .Logs}}/slurm-{{with .First}}{{.}}+{{end}}%a.txt
again=
# Before the time limit, the cell saves a checkpoint, and the job is queued again.
trap 'again=yes; kill -TERM "$!"' USR1
# Slurm ends the job, and has signalled the cell too.
trap 'again=' TERM
{{shell .Program}} experiment cell {{shell .Path}} "{{if .First}}$((SLURM_ARRAY_TASK_ID + {{.First}})){{else}}$SLURM_ARRAY_TASK_ID{{end}}" --workers "$SLURM_CPUS_PER_TASK" &
wait "$!"
code=$?
while kill -0 "$!" 2>/dev/null; do # a signal ended the wait, but not the cell
	wait "$!"
	code=$?
done
if [ -n "$again" ] && [ "$code" -gt 128 ]; then
	exec scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
fi
exit "$code"
`))

// kubernetes is an indexed Job, for Kubernetes 1.29 and later. A pod that is evicted from its node gets SIGTERM and saves a
// checkpoint, and another pod continues, however often that happens. Other failures count for each cell alone.
var kubernetes = template.Must(template.New("kubernetes").Funcs(template.FuncMap{"line": line, "quote": strconv.Quote, "word": word}).Parse(`# {{line .Grid.Title}}
# Submit with: {{.Submit}}
apiVersion: batch/v1
kind: Job
metadata:
  generateName: {{.Name}}-
spec:
  completionMode: Indexed
  completions: {{len .Cells}}
  parallelism: {{.Jobs}}
  backoffLimitPerIndex: 3
  podFailurePolicy:
    rules:
      - action: Ignore # the pod was evicted from its node
        onPodConditions:
          - type: DisruptionTarget
            status: "True"
      - action: FailIndex # a wrong configuration, a loss of NaN or infinity, a damaged checkpoint: it would fail again
        onExitCodes:
          operator: In
          values: [3, 4, 64]
  template:
    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: 120
      containers:
        - name: cell
          image: {{quote .Image}}
          command: [{{word .Program}}, experiment, cell, {{word .Path}}, $(JOB_COMPLETION_INDEX), --workers, "{{.CPUs}}"]
          resources:
            requests:
              cpu: "{{.CPUs}}"
          volumeMounts:
            - name: experiments
              mountPath: {{quote .Mount}}
      volumes:
        - name: experiments
          persistentVolumeClaim:
            claimName: {{quote .Claim}}
`))

// manifest is what the templates see.
type manifest struct {
	*Folder
	Cluster
	Name, Path, Parent, GridFile, Submit, Logs, Array string
	First                                             int // the cell of index 0
}

// Slurm writes a batch script into the folder for the cells that are left, or several if the indices of one array don't reach
// them all, and returns the command that submits them. Jobs is shared out among the arrays.
func (f *Folder) Slurm(c Cluster) (string, error) {
	m, err := f.manifest(c)
	if err != nil {
		return "", err
	}
	if strings.Contains(m.Logs, `\`) { // it turns % in the names of files off
		return "", fmt.Errorf("the path %s has a backslash, which sbatch can't have there: choose another folder with --out", m.Logs)
	}
	left, err := f.left(c.Retry)
	if err != nil {
		return "", err
	}
	if err := f.makeLogs(); err != nil {
		return "", err
	}
	size := c.MaxArraySize
	if size <= 0 {
		size = SlurmArraySize
	}
	arrays := map[int][]int{} // indices by the cell of index 0
	for _, i := range left {
		arrays[i-i%size] = append(arrays[i-i%size], i%size)
	}
	var submit []string
	for n, first := range slices.Sorted(maps.Keys(arrays)) {
		m.First, m.Array = first, ranges(arrays[first])
		if c.Jobs > 0 {
			m.Array += fmt.Sprintf("%%%d", max(1, c.Jobs/len(arrays)))
		}
		script := filepath.Join(m.Path, "slurm.sh")
		if n > 0 {
			script = filepath.Join(m.Path, fmt.Sprintf("slurm-%d.sh", n+1))
		}
		m.Submit = "sbatch " + text.Path(script)
		if err := f.writeManifest(script, slurm, m); err != nil {
			return "", err
		}
		submit = append(submit, m.Submit)
	}
	return strings.Join(submit, " && "), nil
}

// ranges writes growing numbers as sbatch reads them: 0-3,5,8-10.
func ranges(numbers []int) string {
	var parts []string
	for len(numbers) > 0 {
		n := 1
		for n < len(numbers) && numbers[n] == numbers[0]+n {
			n++
		}
		part := strconv.Itoa(numbers[0])
		if n > 1 {
			part += "-" + strconv.Itoa(numbers[n-1])
		}
		parts, numbers = append(parts, part), numbers[n:]
	}
	return strings.Join(parts, ",")
}

// Kubernetes writes the manifest of an indexed Job into the folder, and returns the command that submits it. The Job has an index
// for every cell; a pod whose cell is finished ends at once, and one whose cell has failed tries it once more.
func (f *Folder) Kubernetes(c Cluster) (string, error) {
	if err := c.CheckKubernetes(); err != nil {
		return "", err
	}
	m, err := f.manifest(c)
	if err != nil {
		return "", err
	}
	if _, err := f.left(c.Retry); err != nil {
		return "", err
	}
	script := filepath.Join(m.Path, "kubernetes.yaml")
	m.Submit = "kubectl create -f - <" + text.Path(script) // a path after -f is a list in CSV
	m.Path = strings.TrimSuffix(c.Mount, "/") + "/" + f.Grid.Name
	if m.Jobs <= 0 {
		m.Jobs = len(f.Cells)
	}
	m.Name = dnsName(m.Name)
	return m.Submit, f.writeManifest(script, kubernetes, m)
}

// CheckKubernetes returns an error if something is missing that a Kubernetes Job needs.
func (c Cluster) CheckKubernetes() error {
	switch {
	case c.Image == "" || c.Claim == "":
		return errors.New("a Kubernetes Job needs an image that has coil, --image, and the PersistentVolumeClaim that holds the folder of experiments, --claim")
	case !strings.HasPrefix(c.Mount, "/") || strings.Contains(c.Mount, ":"):
		return fmt.Errorf("--mount %s: Kubernetes wants an absolute path without a colon", c.Mount)
	}
	return nil
}

// left returns the numbers of the cells to train, or an error if there are none.
func (f *Folder) left(retry bool) ([]int, error) {
	var left []int
	var count [Done + 1]int
	for i, c := range f.Cells {
		state, _, err := f.State(c)
		if err != nil {
			return nil, err
		}
		count[state]++
		if state == Waiting || state == Failed && retry {
			left = append(left, i)
		}
	}
	if len(left) > 0 {
		return left, nil
	}
	text := fmt.Sprintf("there is nothing to submit: %d cells, %d finished", len(f.Cells), count[Done])
	if n := count[Running]; n > 0 {
		text += fmt.Sprintf(", %d in training", n)
	}
	if n := count[Failed]; n > 0 {
		text += fmt.Sprintf(", %d failed; --retry trains failed cells again", n)
	}
	return nil, errors.New(text)
}

func (f *Folder) manifest(c Cluster) (manifest, error) {
	path, err := filepath.Abs(f.Path)
	if err != nil {
		return manifest{}, err
	}
	if strings.ContainsFunc(path, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }) {
		return manifest{}, fmt.Errorf("the path %q has a character that a manifest can't have: choose another folder with --out", path)
	}
	c.CPUs = max(1, c.CPUs)
	return manifest{Folder: f, Cluster: c, Name: "coil-" + f.Grid.Name, Path: path, Parent: filepath.Dir(path),
		GridFile: filepath.Join(path, gridName), Logs: filepath.Join(path, logsName)}, nil
}

func (f *Folder) writeManifest(path string, t *template.Template, m manifest) error {
	var b bytes.Buffer
	if err := t.Execute(&b, m); err != nil {
		return err
	}
	return f.exclusive(func() error { return run.ReplaceFile(path, b.Bytes()) })
}

// line is a text as one line that a comment can have.
func line(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || !unicode.IsPrint(r) }), " ")
}

// sbatch quotes the path of a file for a line of #SBATCH, which has its own kind of quotes and replaces % with numbers of the job.
func sbatch(s string) string {
	return `"` + strings.NewReplacer(`"`, `\"`, "%", "%%").Replace(s) + `"`
}

// word quotes a word of a container's command, where Kubernetes puts variables in for $(NAME), and $ for $$.
func word(s string) string { return strconv.Quote(strings.ReplaceAll(s, "$", "$$")) }

// shell quotes a word for sh.
func shell(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("./_-+=,:@", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// dnsName is a name as Kubernetes wants it: small letters, digits and hyphens, not too long.
func dnsName(s string) string {
	s = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(s))
	return strings.Trim(s[:min(len(s), 50)], "-")
}
