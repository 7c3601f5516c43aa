package run

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Command is a request to a run in training.
type Command string

// The commands.
const (
	Pause          Command = "pause"      // wait after this step
	Continue       Command = "continue"   // go on
	SaveCheckpoint Command = "checkpoint" // save a checkpoint after this step
	Evaluate       Command = "evaluate"   // evaluate on held-out examples after this step
	Stop           Command = "stop"       // save a checkpoint after this step, and end
)

// Commands lists them.
func Commands() []Command { return []Command{Pause, Continue, SaveCheckpoint, Evaluate, Stop} }

// ParseCommand reads a command.
func ParseCommand(s string) (Command, error) {
	if !slices.Contains(Commands(), Command(s)) {
		var names []string
		for _, c := range Commands() {
			names = append(names, string(c))
		}
		return "", fmt.Errorf("no command %q; a run takes %s", s, strings.Join(names, ", "))
	}
	return Command(s), nil
}

// Control passes commands from one goroutine to another. The zero value is ready.
type Control struct {
	mu     sync.Mutex
	queued []Command
}

// Send queues a command.
func (c *Control) Send(k Command) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queued = append(c.queued, k)
}

// Next takes the oldest queued command, or "" if there is none.
func (c *Control) Next() Command {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queued) == 0 {
		return ""
	}
	k := c.queued[0]
	c.queued = c.queued[1:]
	return k
}

// SentCommand is a line of control.jsonl: a command from another process to the one that trains the run.
type SentCommand struct {
	Command Command   `json:"command"`
	Time    time.Time `json:"time"`
	Holder            // who asks
}

// ErrNotTrained is the error of sending a command to a run that no process trains.
var ErrNotTrained = errors.New("no process trains the run")

// Send sends a command to the process that trains the run, which takes it between two steps.
func (r *Run) Send(c Command) error {
	if _, alive, err := r.Holder(); err != nil {
		return fmt.Errorf("send %s to %s: %w", c, r.path, err)
	} else if !alive {
		return fmt.Errorf("%w %s; coil resume %s continues it", ErrNotTrained, r.info.ID, r.path)
	}
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	line, err := json.Marshal(SentCommand{c, time.Now(), Holder{os.Getpid(), host}})
	if err != nil {
		return err
	}
	f, err := openOwn(filepath.Join(r.path, controlName), os.O_WRONLY|os.O_CREATE|os.O_APPEND)
	if err != nil {
		return fmt.Errorf("send %s: %w", c, withHint(err, ""))
	}
	if _, err = f.Write(append(line, '\n')); err != nil { // in one piece: others may append too
		err = fmt.Errorf("send %s: %w", c, withHint(err, ""))
	}
	return errors.Join(err, f.Close())
}

// commandReader reads control.jsonl from its end at the time when the run was opened: old requests to an earlier process are not
// requests to this one.
type commandReader struct {
	path    string
	at      int64
	checked time.Time
	queued  []SentCommand
}

// How often the file is read, and how long an unfinished line may get.
const (
	lookEvery      = 100 * time.Millisecond
	longestCommand = 4 << 10
)

// from starts at the end of the file.
func (q *commandReader) from(path string) {
	q.path = filepath.Join(path, controlName)
	if fi, err := os.Stat(q.path); err == nil {
		q.at = fi.Size()
	}
}

// NextCommand returns the oldest request that it has not returned yet, if there is one. It skips lines that are not requests.
// It reads the file at most ten times a second, so it may be called often.
func (r *Run) NextCommand() (SentCommand, bool, error) {
	r.mustWrite()
	q := &r.requests
	var err error
	if len(q.queued) == 0 && time.Since(q.checked) >= lookEvery {
		q.checked = time.Now()
		err = q.read()
	}
	if len(q.queued) == 0 {
		return SentCommand{}, false, err
	}
	next := q.queued[0]
	q.queued = q.queued[1:]
	return next, true, nil
}

func (q *commandReader) read() error {
	fi, err := os.Stat(q.path)
	if errors.Is(err, fs.ErrNotExist) {
		q.at = 0
		return nil
	} else if err != nil {
		return err
	} else if !fi.Mode().IsRegular() {
		return &NotFileError{q.path, fi.Mode()}
	}
	if fi.Size() < q.at { // somebody has emptied it
		q.at = 0
	}
	if fi.Size() == q.at {
		return nil
	}
	f, _, err := openRegular(q.path)
	if err != nil {
		return err
	}
	defer f.Close()
	text, err := io.ReadAll(io.NewSectionReader(f, q.at, 16*longestCommand))
	if err != nil {
		return err
	}
	for {
		line, rest, whole := bytes.Cut(text, []byte("\n"))
		if !whole {
			if len(line) > longestCommand { // this is no request
				q.at += int64(len(line))
			}
			return nil
		}
		q.at += int64(len(line)) + 1
		text = rest
		var asked SentCommand
		if json.Unmarshal(line, &asked) == nil && slices.Contains(Commands(), asked.Command) {
			q.queued = append(q.queued, asked)
		}
	}
}
