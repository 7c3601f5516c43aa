package experiment

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares a text, in which the folder stands as FOLDER, with a file.
func golden(t *testing.T, name, folder, got string) {
	t.Helper()
	got = strings.ReplaceAll(got, folder, "FOLDER")
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", name, d)
	}
}

// The array has the cells that are left, and the script calls coil for each of them.
func TestSlurm(t *testing.T) {
	root := t.TempDir()
	f := makeFolder(t, root, tiny)
	b := newBackend(t)
	for _, i := range []int{0, 3} {
		if err := f.Train(f.Cells[i], b, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	stand := filepath.Join(root, "a coil's \"stand-in\" $HOME")
	if err := os.WriteFile(stand, []byte("#!/bin/sh\nfor a; do echo \"$a\"; done\n"), 0o777); err != nil {
		t.Fatal(err)
	}
	path, err := f.Slurm(Cluster{Program: stand, Jobs: 3, CPUs: 2, Args: []string{"--backend", "cpu"}})
	if err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "slurm.sh", root, string(script))
	cmd := exec.Command("sh", path)
	cmd.Env = append(os.Environ(), "SLURM_ARRAY_TASK_ID=4", "SLURM_CPUS_PER_TASK=2")
	said, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	if d := cmp.Diff([]string{"experiment", "cell", filepath.Join(root, "tiny"), "4", "--workers", "2", "--backend", "cpu"}, strings.Split(strings.TrimSpace(string(said)), "\n")); d != "" {
		t.Error(d)
	}
	if fi, err := os.Stat(filepath.Join(f.Path, logsName)); err != nil || !fi.IsDir() {
		t.Errorf("there is no folder for its logs: %v", err)
	}
	trainAll(t, f)
	if _, err := f.Slurm(Cluster{}); err == nil || !strings.Contains(err.Error(), "nothing to submit") {
		t.Errorf("%v", err)
	}
	odd := makeFolder(t, filepath.Join(root, "with space"), tiny)
	if _, err := odd.Slurm(Cluster{}); err == nil || !strings.Contains(err.Error(), "choose another folder") {
		t.Errorf("%v", err)
	}
}

// The Job has an index for every cell.
func TestKubernetes(t *testing.T) {
	root := t.TempDir()
	f := makeFolder(t, root, tiny)
	if _, err := f.Kubernetes(Cluster{Image: "registry/coil:1"}); err == nil || !strings.Contains(err.Error(), "PersistentVolumeClaim") {
		t.Errorf("%v", err)
	}
	path, err := f.Kubernetes(Cluster{Program: "/usr/bin/coil", CPUs: 4, Jobs: 2, Image: "registry/coil:1", Claim: "experiments", Mount: "/experiments/"})
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "kubernetes.yaml", root, string(text))
	for name, want := range map[string]string{"coil-p-hop-laptop": "coil-p-hop-laptop", "coil-My_Grid.v2": "coil-my-grid-v2", "coil-" + strings.Repeat("x", 80) + "-": "coil-" + strings.Repeat("x", 45)} {
		if got := dnsName(name); got != want {
			t.Errorf("%s becomes %s, want %s", name, got, want)
		}
	}
}
