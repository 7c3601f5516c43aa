package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"coil/run"
	"coil/run/runtest"
	"coil/thorough"
)

// slurmConfig is a cluster of one node, this machine. Jobs that are queued again wait for their credential to expire, which
// takes two minutes as a rule.
const slurmConfig = `ClusterName=coil
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=%[3]d
SlurmdPort=%[4]d
SlurmUser=%[2]s
SlurmdUser=%[2]s
AuthType=auth/munge
AuthInfo=socket=%[1]s/munge.socket,cred_expire=5
StateSaveLocation=%[1]s/state
SlurmdSpoolDir=%[1]s/spool
SlurmctldPidFile=%[1]s/slurmctld.pid
SlurmdPidFile=%[1]s/slurmd.pid
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
MailProg=/bin/true
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/builtin
SchedulerParameters=sched_interval=1,builtin_interval=1
MaxArraySize=2
NodeName=localhost CPUs=3
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE
`

// slurmDaemons starts the daemons, waits until its standard input ends, as it does when the test ends, however that happens,
// and ends all jobs and the daemons.
const slurmDaemons = `
munged --foreground --force --socket="$PWD/munge.socket" --key-file="$PWD/munge.key" --pid-file="$PWD/munge.pid" \
	--seed-file="$PWD/munge.seed" --log-file="$PWD/munge.log" </dev/null >munged.txt 2>&1 &
daemons=$!
while [ ! -S munge.socket ] && kill -0 $daemons; do sleep 0.05; done
slurmctld -D </dev/null >slurmctld.txt 2>&1 &
daemons="$! $daemons"
slurmd -D -N localhost </dev/null >slurmd.txt 2>&1 &
daemons="$! $daemons"
read -r _
scancel --user="$(id -un)"
scancel --user="$(id -un)" --full --signal=KILL
tries=0
while [ -n "$(squeue --noheader)" ] && [ $tries -lt 100 ]; do
	sleep 0.1
	tries=$((tries + 1))
done
kill $daemons
wait
`

// startSlurm starts a cluster for this test, and has its commands use it.
func startSlurm(t *testing.T) {
	t.Helper()
	t.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin")
	needPrograms(t, "slurm-wlm munge", "munged", "slurmctld", "slurmd", "sbatch")
	dir := t.TempDir()
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "slurm.conf")
	for path, text := range map[string]string{
		config:                          fmt.Sprintf(slurmConfig, dir, me.Username, freePort(t), freePort(t)),
		filepath.Join(dir, "munge.key"): strings.Repeat("no secret, but for this test", 40),
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"state", "spool"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("SLURM_CONF", config)
	cmd := exec.Command("sh", "-c", slurmDaemons)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C is not for it
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Wait() // the daemons' end says nothing
		if t.Failed() {
			for _, name := range []string{"munged.txt", "slurmctld.txt", "slurmd.txt"} {
				text, _ := os.ReadFile(filepath.Join(dir, name)) // it may not have begun
				t.Logf("%s:\n%s", name, text)
			}
		}
	})
	eventually(t, "the node is idle", func() bool {
		out, err := exec.Command("sinfo", "--noheader", "--format=%T").Output()
		return err == nil && string(out) == "idle\n"
	})
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// eventually waits until something is so, for a time that only something wrong takes.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for start := time.Now(); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Since(start) > time.Minute {
			t.Fatalf("after a minute it is not so that %s", what)
		}
	}
}

// slurmGrid has a cell of a moment, and two of several seconds.
const slurmGrid = `
name = "grid"
seeds = [1]
[[axis]]
name = "steps"
key = "train.steps"
values = [12, 40000, 40001]
[config.model]
layers = "1x1"
width = 16
heads = 2
hidden = 32
[config.task.p-hop]
letters = 3
length = 16
hops = 1
[config.train]
batch = 8
report = 50
[config.evaluate]
every = 0
final = 8
[config.checkpoint]
every = 100000
`

// Slurm runs what coil experiment writes for it. A job that gets the signal that comes before its time limit saves, is queued
// again and goes on; one that is cancelled saves, and is not. What is left can be submitted again, and what is finished stays.
func TestSlurm(t *testing.T) {
	thorough.Skip(t) // its time limit is the least that Slurm has, a minute
	startSlurm(t)
	program, err := exec.LookPath("coil")
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), `o'd d "q" $HOME %a`)
	grid := filepath.Join(t.TempDir(), "grid.toml")
	if err := os.WriteFile(grid, []byte(slurmGrid), 0o666); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(out, "grid")
	cell := func(i int) string {
		return filepath.Join(folder, "cells", []string{"12_s1", "40000_s1", "40001_s1"}[i])
	}
	finished := func(i int) bool {
		_, err := os.Stat(filepath.Join(cell(i), "measures.json"))
		return err == nil
	}
	// submit submits the cells that are left, and returns the numbers of the arrays, which this cluster allows two jobs.
	submit := func(arrays ...string) []string {
		t.Helper()
		line := mustCoil(t, "experiment", grid, "--out", out, "--executor", "slurm", "--program", program)
		for i, array := range arrays {
			name := "slurm.sh"
			if i > 0 {
				name = fmt.Sprintf("slurm-%d.sh", i+1)
			}
			text, err := os.ReadFile(filepath.Join(folder, name))
			if err != nil || !strings.Contains(string(text), "\n#SBATCH --array="+array+"\n") {
				t.Errorf("the array is not %s: %s, %v", array, text, err)
			}
		}
		jobs := strings.Fields(command(t, "sh", "-c", strings.ReplaceAll(line, "sbatch ", "sbatch --parsable ")))
		if len(jobs) != len(arrays) {
			t.Fatalf("%s submits the arrays %v", line, jobs)
		}
		return jobs
	}
	logs := []string{"slurm-0.txt", "slurm-1.txt", "slurm-2+0.txt"}
	// wantResumed looks whether a cell was stopped, and went on from there.
	wantResumed := func(i int) {
		t.Helper()
		h, err := runtest.Events(view(t, cell(i)))
		if err != nil {
			t.Fatal(err)
		}
		stop := slices.IndexFunc(h, func(e run.Event) bool { return e.Kind == run.KindStop })
		resume := slices.IndexFunc(h, func(e run.Event) bool { return e.Kind == run.KindResume })
		if stop < 0 || resume < stop || h[resume].Step != h[stop].Step || h[stop].Step == 0 {
			t.Errorf("cell %d was not stopped and resumed once: %+v", i, h)
		}
		log, err := os.ReadFile(filepath.Join(folder, "logs", logs[i]))
		if err != nil || strings.Count(string(log), " · seed 1\n") != 2 {
			t.Errorf("the log of cell %d has not both parts: %s, %v", i, log, err)
		}
	}

	jobs := submit("0-1", "0")
	eventually(t, "a cell is trained", func() bool { return steps(cell(1)) > 0 })
	command(t, "scancel", "--batch", "--signal=USR1", jobs[0]+"_1")
	eventually(t, "another is trained", func() bool { return steps(cell(2)) > 0 })
	command(t, "scancel", jobs[1]+"_0")
	eventually(t, "the cell of the job that was cancelled is stopped", func() bool {
		_, alive, err := view(t, cell(2)).Holder()
		return err == nil && !alive
	})
	for i := range 2 {
		eventually(t, "the other cells are finished", func() bool { return finished(i) })
	}
	wantResumed(1)
	if state := command(t, "scontrol", "show", "job", jobs[0]+"_1"); !strings.Contains(state, " Restarts=1 ") {
		t.Errorf("it was not queued again once: %s", state)
	}
	if state := command(t, "scontrol", "show", "job", jobs[1]+"_0"); !strings.Contains(state, "JobState=CANCELLED") || !strings.Contains(state, " Restarts=0 ") {
		t.Errorf("it was not only cancelled: %s", state)
	}
	if finished(2) {
		t.Error("the cell of the job that was cancelled is finished")
	}

	submit("0")
	eventually(t, "the last cell is finished", func() bool { return finished(2) })
	wantResumed(2)
	if r := mustCoil(t, "experiment", grid, "--out", out, "--results", "--json"); !strings.Contains(r, `"finished": 3,`) {
		t.Errorf("the results are %s", r)
	}
}
