package experiment

import (
	"cmp"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"syscall"
	"time"
)

// Local trains cells in processes of this machine, several at a time.
type Local struct {
	// Command returns the command that trains a cell on a number of cores. It ends with code 0 when the cell is finished, and with
	// code Busy if another process has it.
	Command func(c Cell, workers int) *exec.Cmd
	Busy    int
	Jobs    int  // processes at a time
	Workers int  // cores of all of them together; 0 if they share none
	Retry   bool // cells that have failed too
	Report  func(Progress)
}

// job is a process that trains a cell.
type job struct {
	cell  Cell
	cmd   *exec.Cmd
	ended chan struct{}
	err   error // when it has ended
}

// signal signals the process, and those that it has started.
func (j *job) signal(s syscall.Signal) {
	select {
	case <-j.ended: // its number may be another's
	default:
		syscall.Kill(-j.cmd.Process.Pid, s)
	}
}

// pollEvery is the interval at which the cells are read.
const pollEvery = 500 * time.Millisecond

// ErrStopped is the error of an experiment that was asked to stop and can be continued.
var ErrStopped = errors.New("stopped")

// Run trains the remaining cells of the folder. When stop is closed, the processes save and end, and Run returns ErrStopped; when
// atOnce is closed, they are killed. Run leaves cells to other processes that train them.
func (l Local) Run(f *Folder, stop, atOnce <-chan struct{}) error {
	m, err := f.Monitor()
	if err != nil {
		return err
	}
	defer m.Close()
	p, err := m.Poll()
	if err != nil {
		return err
	}
	left := l.order(p)
	var jobs []*job
	var busy []Cell // trained elsewhere, or free again, when their turn comes
	var failures []error
	ended := make(chan *job, l.Jobs)
	defer func() { // whatever happens, no process stays behind
		for _, j := range jobs {
			j.signal(syscall.SIGTERM)
		}
		for _, j := range jobs {
			<-j.ended
		}
	}()
	stopped := false
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		for !stopped && len(jobs) < l.Jobs && len(left) > 0 {
			c := left[0]
			left = left[1:]
			if state, _, err := f.State(c); err != nil {
				return err
			} else if state == Done || state == Running {
				continue
			}
			j, err := l.start(f, c, max(1, l.Workers/max(1, min(l.Jobs, len(jobs)+1+len(left)+len(busy)))), ended)
			if err != nil {
				return err
			}
			jobs = append(jobs, j)
		}
		if p, err = m.Poll(); err != nil {
			return err
		}
		l.Report(p)
		if len(jobs) == 0 && (stopped || len(busy) == 0) {
			if stopped {
				return ErrStopped
			}
			return errors.Join(failures...)
		}
		select {
		case <-tick.C:
			left, busy = append(left, busy...), nil
		case j := <-ended:
			jobs = slices.DeleteFunc(jobs, func(other *job) bool { return other == j })
			if j.cmd.ProcessState.ExitCode() == l.Busy && j.err != nil {
				busy = append(busy, j.cell)
			} else {
				failures = append(failures, l.failure(f, j, stopped))
			}
		case <-stop:
			stop, stopped = nil, true
			for _, j := range jobs {
				j.signal(syscall.SIGTERM)
			}
		case <-atOnce:
			atOnce, stopped = nil, true
			for _, j := range jobs {
				j.signal(syscall.SIGKILL)
			}
		}
	}
}

// order returns the remaining cells: those of the first seed first, so that there is soon a result for each model, and among
// them the longest first, so that no core is idle at the end.
func (l Local) order(p Progress) []Cell {
	type weighed struct {
		Cell
		seed int
		work float64
	}
	var left []weighed
	seeds := map[uint64]int{}
	for _, s := range p.Cells {
		if _, ok := seeds[s.Cell.Seed]; !ok {
			seeds[s.Cell.Seed] = len(seeds)
		}
		if s.State == Done || s.State == Running || s.State == Failed && !l.Retry {
			continue
		}
		left = append(left, weighed{s.Cell, seeds[s.Cell.Seed], s.Cell.Work()})
	}
	slices.SortStableFunc(left, func(a, b weighed) int {
		return cmp.Or(cmp.Compare(a.seed, b.seed), cmp.Compare(b.work, a.work))
	})
	cells := make([]Cell, len(left))
	for i, w := range left {
		cells[i] = w.Cell
	}
	return cells
}

// start starts a process in its own process group: Ctrl-C goes to the experiment, which signals its processes. The output goes
// to a file in the folder. When the process has ended, its job is sent to ended.
func (l Local) start(f *Folder, c Cell, workers int, ended chan<- *job) (*job, error) {
	cmd := l.Command(c, workers)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	log, err := f.log(c)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("train %s: %w", c.Title(), err)
	}
	j := &job{cell: c, cmd: cmd, ended: make(chan struct{})}
	go func() { // ends with the process
		j.err = cmd.Wait()
		close(j.ended)
		ended <- j
	}()
	return j, nil
}

// failure is why a process ended without finishing its cell; nil if it was asked to.
func (l Local) failure(f *Folder, j *job, stopped bool) error {
	if j.err == nil || stopped {
		return nil
	}
	return fmt.Errorf("%s: %w; see %s", j.cell.Title(), j.err, f.logPath(j.cell))
}
