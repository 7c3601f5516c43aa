package run

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// The kinds of events. A reader passes over kinds that it does not know.
const (
	KindStart      = "start"      // the run begins
	KindSetup      = "setup"      // training starts or continues, with the configuration in Setup
	KindTrain      = "train"      // a report of training: Train describes the steps since the last report
	KindEval       = "eval"       // an evaluation on held-out examples: Eval has the scores
	KindCheckpoint = "checkpoint" // a checkpoint of this step was saved, when training had taken Seconds
	KindResume     = "resume"     // the run continues from the checkpoint of this step: see History
	KindPause      = "pause"      // training waits after this step
	KindContinue   = "continue"   // and goes on
	KindNote       = "note"       // something to read, in Text
	KindStop       = "stop"       // the user stopped the run, and it can be resumed
	KindEnd        = "end"        // the run has done all its steps, or used its time
	KindError      = "error"      // the run failed, and Text says why
)

// An Event is a line of events.jsonl. docs/run-format.md describes the file.
type Event struct {
	Kind    string    `json:"kind"`
	Step    int       `json:"step"` // steps that are done
	Time    time.Time `json:"time"`
	Seconds *Number   `json:"seconds,omitempty"` // of KindSetup and KindCheckpoint: how long training had taken
	Text    string    `json:"text,omitempty"`

	Setup *Setup `json:"setup,omitempty"` // of KindSetup
	Train *Train `json:"train,omitempty"` // of KindTrain
	Eval  *Eval  `json:"eval,omitempty"`  // of KindEval
}

// A Number is a number in JSON. NaN and the infinities, which JSON lacks, are the strings "NaN", "+Inf", "-Inf".
type Number float64

// MarshalJSON implements json.Marshaler.
func (n Number) MarshalJSON() ([]byte, error) {
	x := float64(n)
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return strconv.AppendQuote(nil, strconv.FormatFloat(x, 'g', -1, 64)), nil
	}
	return json.Marshal(x)
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *Number) UnmarshalJSON(b []byte) error {
	switch string(b) {
	case `"NaN"`:
		*n = Number(math.NaN())
		return nil
	case `"+Inf"`:
		*n = Number(math.Inf(1))
		return nil
	case `"-Inf"`:
		*n = Number(math.Inf(-1))
		return nil
	}
	x, err := strconv.ParseFloat(string(b), 64)
	if err != nil {
		return fmt.Errorf("%s is not a number", b)
	}
	*n = Number(x)
	return nil
}

// openEvents opens the events for appending. It cuts off the last line if that has no end, because then the process
// that wrote it, or its machine, died while doing so.
func (r *Run) openEvents() error {
	f, err := openOwn(filepath.Join(r.path, eventsName), os.O_RDWR|os.O_CREATE|os.O_APPEND)
	if err != nil {
		return err
	}
	size, end, err := lastLineEnd(f)
	if err == nil && end < size {
		err = f.Truncate(end)
	}
	r.digest = readDigest(r.path, f)
	if err == nil {
		err = r.digest.follow(f)
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	r.events = f
	return nil
}

// lastLineEnd returns the size of a file, and how much of it is whole lines.
func lastLineEnd(f *os.File) (size, end int64, err error) {
	fi, err := f.Stat()
	if err != nil {
		return 0, 0, err
	}
	buf := make([]byte, 4<<10)
	for end = fi.Size(); end > 0; {
		b := buf[:min(int64(len(buf)), end)]
		end -= int64(len(b))
		if _, err := f.ReadAt(b, end); err != nil {
			return 0, 0, err
		}
		if i := bytes.LastIndexByte(b, '\n'); i >= 0 {
			return fi.Size(), end + int64(i) + 1, nil
		}
	}
	return fi.Size(), 0, nil
}

// encodeEvent is the line of an event.
func encodeEvent(e Event) ([]byte, error) {
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(e) // one line, and its end
	return line.Bytes(), err
}

// Append writes an event, in one piece, so that no reader sees a part of it. If its Time is zero, it becomes now.
// An event that could not be written leaves no trace.
//
// If events.jsonl was deleted, Append writes it again from the open file. If it was replaced or cut, Append continues the file
// that is there. It notes either in the events.
func (r *Run) Append(e Event) error {
	r.mustWrite()
	r.appending.Lock()
	defer r.appending.Unlock()
	if err := r.keepLock(e.Step); err != nil {
		return fmt.Errorf("append an event: %w", withHint(err, ""))
	}
	if time.Since(r.looked) >= eventsCheck {
		r.looked = time.Now()
		if err := r.lookAfterEvents(e.Step); err != nil {
			return fmt.Errorf("append an event: %w", withHint(err, ""))
		}
	}
	return r.appendLine(e)
}

func (r *Run) appendLine(e Event) error {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	e.Time = e.Time.Round(time.Millisecond)
	line, err := encodeEvent(e)
	if err != nil {
		return fmt.Errorf("append to %s: %w", eventsName, err)
	}
	n, err := r.events.Write(line)
	if err == nil {
		r.digest.add(line)
		if r.digest.at-r.digest.saved >= digestEvery {
			// If it can't be written, the run is only slower to open.
			if r.digest.write(r.path, r.events) != nil {
				r.digest.saved = r.digest.at
			}
		}
		return nil
	}
	if n > 0 { // otherwise the next event would continue this line
		fi, undoErr := r.events.Stat()
		if undoErr == nil {
			undoErr = r.events.Truncate(fi.Size() - int64(n))
		}
		err = errors.Join(err, undoErr)
	}
	return fmt.Errorf("append an event: %w", withHint(err, ""))
}

// eventsCheck is the interval at which the file of events is checked for deletion or replacement.
const eventsCheck = time.Second

// lookAfterEvents finds out what others have done to the events, and notes it.
func (r *Run) lookAfterEvents(step int) error {
	path := filepath.Join(r.path, eventsName)
	named, err := os.Lstat(path)
	opened, e := r.events.Stat()
	if e != nil {
		return e
	}
	var what string
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Lstat(r.path); err != nil {
			return fmt.Errorf("the folder of the run is gone: %w", err)
		}
		if err := r.restoreEvents(path); err != nil {
			return err
		}
		what = "was deleted and written again"
	case err != nil:
		return err
	case !os.SameFile(named, opened):
		what = "was replaced by another"
	case opened.Size() < r.digest.at:
		what = "was cut"
	default:
		return nil
	}
	old := r.events
	if err := r.openEvents(); err != nil {
		return err
	}
	old.Close()
	return r.appendLine(Event{Kind: KindNote, Step: step, Text: fmt.Sprintf("%s %s while the run was training", eventsName, what)})
}

// restoreEvents copies the events from the deleted file, which is still open.
func (r *Run) restoreEvents(path string) error {
	temporary := path + temporarySuffix
	err := writeSynced(createFile, temporary, func(w io.Writer) error {
		_, err := io.Copy(w, io.NewSectionReader(r.events, 0, r.digest.at))
		return err
	})
	if err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		os.Remove(temporary)
	}
	return err
}

// An EventReader reads the events of a run that may be growing. It is for one goroutine.
type EventReader struct {
	past [][]byte // lines before those read from the file

	f    *os.File
	buf  []byte // what was read and not returned
	at   int64  // where buf begins in the file
	line int    // lines returned

	tooLong bool // reading the rest of a line that is too long

	text []byte // of the last line
	cut  int    // bytes after it, when the file was at its end
}

// Events returns a reader that starts at the first event. It returns the events as they were written; see History
// for the meaning of resuming.
//
// For a long run, it returns only those older events that the digest keeps: a few thousand, including the least and
// the greatest loss everywhere. So a run of any length is read in bounded time and memory.
func (r *Run) Events() (*EventReader, error) {
	er, size, err := r.allEvents()
	if err != nil || size < 2*digestEvery {
		return er, err
	}
	d := readDigest(r.path, er.f)
	if size-d.at >= 2*digestEvery { // the run is of an earlier coil, or the digest is damaged
		if err := d.follow(er.f); err != nil {
			er.Close()
			return nil, fmt.Errorf("read the events: %w", withHint(err, ""))
		}
	}
	er.at, er.line = d.at, d.lines
	for _, k := range d.kept {
		er.past = append(er.past, k.line)
	}
	return er, nil
}

// allEvents returns a reader of every event, and the size of the file.
func (r *Run) allEvents() (*EventReader, int64, error) {
	f, fi, err := openRegular(filepath.Join(r.path, eventsName))
	if err != nil {
		return nil, 0, fmt.Errorf("read the events: %w", withHint(err, ""))
	}
	return &EventReader{f: f}, fi.Size(), nil
}

// A LineError is a line of events.jsonl that is not an event.
type LineError struct {
	Path string
	Line int // from 1
	Err  error
}

func (e *LineError) Error() string {
	return fmt.Sprintf("%s:%d: not an event: %v", e.Path, e.Line, e.Err)
}

// Unwrap returns the reason.
func (e *LineError) Unwrap() error { return e.Err }

// Next returns the next event. The error is io.EOF as long as there is none that is whole; call again when the file
// may have grown. It is a *LineError for a line that is not an event, and the next call returns the next line.
// It skips blank lines and unknown members.
func (er *EventReader) Next() (Event, error) {
	for {
		line, err := er.nextLine()
		if err == errTooLong {
			return Event{}, &LineError{er.f.Name(), er.line, err}
		} else if err != nil {
			return Event{}, err
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		er.text = line
		e, err := decodeEvent(line)
		if err != nil {
			return Event{}, &LineError{er.f.Name(), er.line, err}
		}
		return e, nil
	}
}

// longestLine is the greatest length of a line, so that a wrong file does not fill the memory.
const longestLine = 16 << 20

var errTooLong = fmt.Errorf("it is longer than %d MiB", longestLine>>20)

// nextLine returns the next whole line, until the next call.
func (er *EventReader) nextLine() ([]byte, error) {
	if len(er.past) > 0 {
		line := er.past[0]
		er.past = er.past[1:]
		return line, nil
	}
	const atLeast = 64 << 10
	searched := 0
	for {
		if len(er.buf) > longestLine && bytes.IndexByte(er.buf[searched:], '\n') < 0 { // pass over it piece by piece
			er.at += int64(len(er.buf))
			er.buf, er.tooLong, searched = nil, true, 0
		}
		if i := bytes.IndexByte(er.buf[searched:], '\n'); i >= 0 {
			end := searched + i + 1
			line := er.buf[:end]
			er.buf = er.buf[end:]
			er.at += int64(end)
			er.line++
			if er.tooLong {
				er.tooLong = false
				return nil, errTooLong
			}
			return line, nil
		}
		searched = len(er.buf)
		er.buf = slices.Grow(er.buf, atLeast)
		n, err := er.f.ReadAt(er.buf[searched:searched+atLeast], er.at+int64(searched))
		er.buf = er.buf[:searched+n]
		if n == 0 {
			// The line that has no end yet is read again, because a run that is resumed cuts it off.
			er.buf, er.cut = nil, searched
			return nil, err
		}
	}
}

// Line returns the line of the last event as it was written, until the next call of Next.
func (er *EventReader) Line() []byte { return er.text }

// Cut returns how many bytes there are after the last whole line, when Next has returned io.EOF: of an event that a
// process was writing when it was killed.
func (er *EventReader) Cut() int { return er.cut }

// Close ends the reading.
func (er *EventReader) Close() error { return er.f.Close() }

// Rewind records that the run continues from the given step: call it when a run is resumed from the checkpoint of that
// step, or from the beginning with step 0. It appends an event of KindResume, which takes back the reports of
// later steps (see History). It also sets the checkpoints of later steps aside, so that Latest is the given step: step-000500
// becomes step-000500.undone. Prune removes these.
func (r *Run) Rewind(step int) error {
	r.mustWrite()
	if step < 0 {
		panic("run: negative step")
	}
	// The checkpoints first: if the process is killed in between, the next one resumes from the same step.
	if err := r.setAside(step); err != nil {
		return fmt.Errorf("go back to step %d: %w", step, withHint(err, ""))
	}
	return r.Append(Event{Kind: KindResume, Step: step})
}
