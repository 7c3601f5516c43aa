package experiment

import (
	"time"

	"coil/run"
)

// A Monitor follows the cells of a folder, whoever trains them. It is for one goroutine.
type Monitor struct {
	folder *Folder
	cells  []*followed
	begin  time.Time
	before float64 // work that was done at its start
}

// followed is a cell that is followed.
type followed struct {
	Status
	work    float64     // of the last stage, if it is grown
	early   []*followed // the stages before that
	reader  *run.EventReader
	history *run.History
}

func follow(c Cell) *followed {
	f := &followed{Status: Status{Cell: c}, work: c.Work()}
	for _, stage := range c.early {
		early := follow(stage)
		f.early = append(f.early, early)
		f.work -= early.work
	}
	return f
}

// done is the work that is done, and the cell's in all.
func (f *followed) done() (done, all float64) {
	for _, stage := range f.early {
		d, a := stage.done()
		done, all = done+d, all+a
	}
	all += f.work
	if f.State == Done || f.State == Failed {
		return all, all
	}
	return done + f.work*float64(f.Step)/float64(f.Cell.Config.Train.Steps), all
}

// Status is how a cell is doing.
type Status struct {
	Cell  Cell
	State State
	Text  string // why it failed, or who trains it
	Step  int
	// Loss is of the last report, Metric of the last evaluation on held-out examples; each counts if its Has is set.
	Loss, Metric       float64
	HasLoss, HasMetric bool
	Damaged            bool // run.json of its run, or of that of an earlier stage: [Folder.Damage]
}

// Progress is how an experiment is doing.
type Progress struct {
	Cells                    []Status
	Done, Failed, Running, N int
	Share                    float64 // of the work that is done
	Left                     float64 // seconds, 0 if it is not known yet
}

// Monitor starts following the cells.
func (f *Folder) Monitor() (*Monitor, error) {
	m := &Monitor{folder: f, begin: time.Now()}
	for _, c := range f.Cells {
		m.cells = append(m.cells, follow(c))
	}
	p, err := m.Poll()
	m.before = p.Share
	return m, err
}

// Close frees the resources of following.
func (m *Monitor) Close() {
	for _, c := range m.cells {
		c.close()
	}
}

func (f *followed) close() {
	for _, stage := range f.early {
		stage.close()
	}
	if f.reader != nil {
		f.reader.Close()
	}
}

// Poll reads what is new.
func (m *Monitor) Poll() (Progress, error) {
	p := Progress{N: len(m.cells)}
	var done, all float64
	for _, c := range m.cells {
		if err := m.look(c); err != nil {
			return p, err
		}
		switch c.State {
		case Done:
			p.Done++
		case Failed:
			p.Failed++
		case Running:
			p.Running++
		}
		d, a := c.done()
		done, all = done+d, all+a
		p.Cells = append(p.Cells, c.Status)
	}
	if all > 0 {
		p.Share = done / all
	}
	if took := time.Since(m.begin); p.Share > m.before && took > 3*time.Second {
		p.Left = took.Seconds() * (1 - p.Share) / (p.Share - m.before)
	}
	return p, nil
}

// look reads the events of a cell's run.
func (m *Monitor) look(c *followed) error {
	if c.State == Done {
		return nil
	}
	for _, stage := range c.early {
		if err := m.look(stage); err != nil {
			return err
		}
	}
	var err error
	if c.State, c.Text, err = m.folder.State(c.Cell); err != nil {
		return err
	}
	c.Damaged = len(m.folder.Damage(c.Cell)) > 0
	if c.reader == nil {
		r, err := run.View(m.folder.RunPath(c.Cell))
		if err != nil {
			return nil // it has not begun
		}
		c.history = run.NewHistory(0) // of no use but for the newest values
		if c.reader, err = r.Events(); err != nil {
			return err
		}
	}
	if _, _, err := c.history.Follow(c.reader, time.Time{}); err != nil {
		return err
	}
	c.Step = c.history.Latest
	c.Loss, c.HasLoss = c.history.Train.Value(run.Loss.Key())
	c.Metric, c.HasMetric = c.history.HeldOut.Current(run.Judged(c.Cell.metric).Key())
	return nil
}
