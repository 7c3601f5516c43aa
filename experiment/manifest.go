package experiment

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"

	"coil/run"
)

// Cluster is what the manifest of an engine that trains the cells elsewhere needs to know. The folder must be on a disk that
// all its machines share.
type Cluster struct {
	Program string   // the path of coil there
	Args    []string // of coil experiment cell, besides the folder and the cell
	Jobs    int      // cells at a time; 0 for as many as the engine likes
	CPUs    int      // cores of a cell

	// Kubernetes only.
	Image string
	Claim string // the PersistentVolumeClaim that holds the folder's parent
	Mount string // where that is mounted
}

// slurm is a batch script for an array of jobs. A job that Slurm ends, for its time limit or for a more urgent one, gets SIGTERM
// two minutes before, saves a checkpoint and is queued again.
var slurm = template.Must(template.New("slurm").Funcs(template.FuncMap{"shell": shell}).Parse(`#!/bin/sh
# {{.Grid.Title}}
# Submit with: sbatch {{shell .Script}}
# The results: coil experiment {{shell .GridFile}} --out {{shell .Parent}} --results
#SBATCH --job-name={{.Name}}
#SBATCH --array={{.Array}}
#SBATCH --cpus-per-task={{.CPUs}}
#SBATCH --signal=B:TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output={{.Logs}}/slurm-%a.txt
exec {{shell .Program}} experiment cell {{shell .Path}} "$SLURM_ARRAY_TASK_ID" --workers "$SLURM_CPUS_PER_TASK"{{range .Args}} {{shell .}}{{end}}
`))

// kubernetes is an indexed Job. A pod that is taken from its node gets SIGTERM, saves a checkpoint, and another goes on.
var kubernetes = template.Must(template.New("kubernetes").Funcs(template.FuncMap{"quote": strconv.Quote}).Parse(`# {{.Grid.Title}}
# Submit with: kubectl create -f {{.Script}}
apiVersion: batch/v1
kind: Job
metadata:
  generateName: {{.Name}}-
spec:
  completionMode: Indexed
  completions: {{len .Cells}}
  parallelism: {{.Jobs}}
  backoffLimit: {{len .Cells}}
  template:
    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: 120
      containers:
        - name: cell
          image: {{quote .Image}}
          command: [{{quote .Program}}, experiment, cell, {{quote .Path}}, $(JOB_COMPLETION_INDEX), --workers, "{{.CPUs}}"{{range .Args}}, {{quote .}}{{end}}]
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
	Name, Path, Parent, GridFile, Script, Logs, Array string
}

// Slurm writes a batch script into the folder for the cells that are left, and returns its path.
func (f *Folder) Slurm(c Cluster) (string, error) {
	m, err := f.manifest(c, "slurm.sh")
	if err != nil {
		return "", err
	}
	var left []string
	for i, cell := range f.Cells {
		state, _, err := f.State(cell)
		if err != nil {
			return "", err
		}
		if state != Done {
			left = append(left, strconv.Itoa(i))
		}
	}
	if len(left) == 0 {
		return "", errors.New("every cell is finished: there is nothing to submit")
	}
	m.Array = strings.Join(left, ",")
	if c.Jobs > 0 {
		m.Array += fmt.Sprintf("%%%d", c.Jobs)
	}
	if strings.ContainsAny(m.Logs, " \t\n%") {
		return "", fmt.Errorf("the path %s has a character that an #SBATCH line can't have: choose another folder with --out", m.Logs)
	}
	if err := f.makeLogs(); err != nil {
		return "", err
	}
	return m.Script, f.write(m.Script, slurm, m)
}

// Kubernetes writes the manifest of an indexed Job into the folder, and returns its path. A pod whose cell is finished ends at
// once.
func (f *Folder) Kubernetes(c Cluster) (string, error) {
	if c.Image == "" || c.Claim == "" {
		return "", errors.New("a Kubernetes Job needs an image that has coil, and the PersistentVolumeClaim that holds the folder of experiments")
	}
	m, err := f.manifest(c, "kubernetes.yaml")
	if err != nil {
		return "", err
	}
	m.Path = strings.TrimSuffix(c.Mount, "/") + "/" + f.Grid.Name
	if m.Jobs == 0 {
		m.Jobs = len(f.Cells)
	}
	m.Name = dnsName(m.Name)
	return m.Script, f.write(m.Script, kubernetes, m)
}

func (f *Folder) manifest(c Cluster, script string) (manifest, error) {
	path, err := filepath.Abs(f.Path)
	if err != nil {
		return manifest{}, err
	}
	c.CPUs = max(1, c.CPUs)
	return manifest{Folder: f, Cluster: c, Name: "coil-" + f.Grid.Name, Path: path, Parent: filepath.Dir(path),
		GridFile: filepath.Join(path, gridName), Script: filepath.Join(path, script), Logs: filepath.Join(path, logsName)}, nil
}

func (f *Folder) write(path string, t *template.Template, m manifest) error {
	var b bytes.Buffer
	if err := t.Execute(&b, m); err != nil {
		return err
	}
	return run.ReplaceFile(path, b.Bytes())
}

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
