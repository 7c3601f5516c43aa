package run

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// A Finding is what Verify says of a part of a run.
type Finding struct {
	Part string // "run.json", "checkpoints/step-000500"
	Text string // what there is, if Err is nil
	Err  error  // what is wrong: ErrDamaged, ErrUnreadable, ErrLost
}

// Verify reads the whole run: run.json, the configuration's seal, every event, and every byte of every checkpoint.
// check, if not nil, says more of a checkpoint that is whole.
func (r *Run) Verify(check func(Checkpoint) error) []Finding {
	info := Finding{Part: infoName, Text: "sealed"}
	switch {
	case r.damage != nil:
		info.Err = fmt.Errorf("%w: %w", ErrDamaged, r.damage)
	case r.info.Format < sealedFormat:
		info.Text = "of format 1, without a seal"
	}
	config := Finding{Part: configName, Text: "sealed"}
	if text, edited, err := r.readConfig(); err != nil {
		config.Err = asFault(err)
	} else if edited {
		config.Err = fmt.Errorf("%w: it was changed after coil wrote it", ErrDamaged)
	} else if r.unsealed(text) {
		config.Text = "of format 1, without a seal"
	}
	findings := []Finding{info, config, r.verifyEvents()}
	if c, ok := r.Crash(); ok {
		findings = append(findings, Finding{Part: crashName, Text: "the run " + c.String()})
	}
	return append(findings, r.verifyCheckpoints(check)...)
}

// asFault is an ErrUnreadable or an ErrDamaged.
func asFault(err error) error {
	switch {
	case errors.Is(err, ErrDamaged):
		return err
	case unreadable(err):
		return fmt.Errorf("%w: %w", ErrUnreadable, withHint(err, ""))
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

func (r *Run) verifyEvents() Finding {
	f := Finding{Part: eventsName}
	er, _, err := r.allEvents()
	if err != nil {
		f.Err = asFault(err)
		return f
	}
	defer er.Close()
	n := 0
	var first error
	garbled := 0
	for {
		_, err := er.Next()
		var line *LineError
		switch {
		case err == nil:
			n++
		case errors.As(err, &line):
			if garbled++; first == nil {
				first = line
			}
		case errors.Is(err, io.EOF):
			f.Text = fmt.Sprintf("%d events", n)
			if garbled > 0 {
				f.Err = fmt.Errorf("%w: %d lines, of them %d not events; the first: %w", ErrDamaged, n+garbled, garbled, first)
			}
			if er.Cut() > 0 {
				f.Text += fmt.Sprintf(", and %d bytes of one that was being written when its process was killed", er.Cut())
			}
			return f
		default:
			f.Err = asFault(err)
			return f
		}
	}
}

func (r *Run) verifyCheckpoints(check func(Checkpoint) error) []Finding {
	places, err := r.places()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return []Finding{{Part: checkpointsName, Err: asFault(err)}}
	}
	if len(places) == 0 {
		f := Finding{Part: checkpointsName, Text: "none yet"}
		if err := r.none(); errors.Is(err, ErrLost) {
			f.Err = err
		}
		return []Finding{f}
	}
	var findings []Finding
	for _, p := range places {
		f := Finding{Part: filepath.Join(checkpointsName, filepath.Base(p.path))}
		c, err := r.verified(p)
		if err == nil && check != nil {
			err = check(c)
		}
		if err != nil {
			f.Err = asFault(err)
		} else {
			var bytes int64
			for _, file := range c.Files {
				bytes += file.Size
			}
			f.Text = fmt.Sprintf("whole, %d bytes", bytes)
		}
		findings = append(findings, f)
	}
	entries, _ := os.ReadDir(r.checkpointsPath()) // read above
	for _, e := range entries {
		if m := checkpointPattern.FindStringSubmatch(e.Name()); m != nil && m[1] == "." && m[4] != oldSuffix {
			findings = append(findings, Finding{Part: filepath.Join(checkpointsName, e.Name()), Text: "left by a killed process, or being written now; resuming the run removes it"})
		}
	}
	return findings
}

// MarshalJSON writes a finding as {"part", "ok", "text"}.
func (f Finding) MarshalJSON() ([]byte, error) {
	text := f.Text
	if f.Err != nil {
		text = f.Err.Error()
	}
	return json.Marshal(struct {
		Part string `json:"part"`
		OK   bool   `json:"ok"`
		Text string `json:"text"`
	}{f.Part, f.Err == nil, strings.TrimSpace(text)})
}
