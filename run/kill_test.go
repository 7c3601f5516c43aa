package run

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"coil/thorough"
)

// killFiles and killSize are what the child saves: enough that most kills hit a save.
var killFiles = []string{"model", "optimizer", "random"}

const killSize = 1 << 20

// childSave saves checkpoints, one after the other and some steps twice, reports events and removes old checkpoints,
// until it is killed. All files of one save, and its meta, have the same number. It prints the number and the step
// after each save.
func childSave(path string) error {
	r, err := Open(path)
	if err != nil {
		return err
	}
	step, number := 0, uint64(0)
	if c, err := r.Latest(); err == nil {
		step = c.Step
		if err := json.Unmarshal(c.Meta, &number); err != nil {
			return err
		}
	} else if !errors.Is(err, ErrNoCheckpoint) {
		return err
	}
	if err := r.Rewind(step); err != nil {
		return err
	}
	fmt.Println("open")
	for {
		number++
		if number%2 == 1 {
			step++
			if err := r.Append(Event{Kind: KindTrain, Step: step, Text: strings.Repeat("x", 9000)}); err != nil {
				return err
			}
		}
		var files []FileWriter
		for _, name := range killFiles {
			files = append(files, FileWriter{name, func(w io.Writer) error {
				_, err := w.Write(bytes.Repeat(binary.LittleEndian.AppendUint64(nil, number), killSize/8))
				return err
			}})
		}
		if _, err := r.Save(step, number, files); err != nil {
			return err
		}
		fmt.Println(number, step)
		if err := r.Prune(2); err != nil {
			return err
		}
	}
}

// wantWhole checks that the latest checkpoint is whole, is of one save, and is the last that was reported or later.
func wantWhole(t *testing.T, r *Run, reported uint64) (latest Checkpoint) {
	t.Helper()
	latest, err := r.Latest()
	if errors.Is(err, ErrNoCheckpoint) && reported == 0 {
		return latest
	}
	if err != nil {
		t.Fatal(err)
	}
	var number uint64
	if err := json.Unmarshal(latest.Meta, &number); err != nil {
		t.Fatal(err)
	}
	if number < reported || number > reported+1 {
		t.Fatalf("save %d was reported, and the latest checkpoint is of save %d", reported, number)
	}
	for _, name := range killFiles {
		f, size, err := latest.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(io.LimitReader(f, 8))
		f.Close()
		if err != nil || size != killSize || binary.LittleEndian.Uint64(b) != number {
			t.Fatalf("%s of save %d is of save %d, with %d bytes, %v", name, number, b, size, err)
		}
	}
	return latest
}

// Whenever a process is killed, everything that it reported as saved is there, the latest checkpoint is whole, the events can be
// read, and the next process cleans up and continues.
func TestKill(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("kills 20 processes")
	}
	r := newRun(t)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	var number uint64
	leftovers, saves := 0, 0
	for range 20 / thorough.Every(t, 2, "kills") {
		cmd, out := start(t, "save", r.Path())
		if line, err := out.ReadString('\n'); line != "open\n" {
			t.Fatal(line, err)
		}
		time.Sleep(time.Duration(rand.IntN(60_000)) * time.Microsecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		said, err := io.ReadAll(out)
		if err != nil {
			t.Fatal(err)
		}
		cmd.Wait()
		for line := range strings.Lines(string(said)) {
			var step int
			if _, err := fmt.Sscan(line, &number, &step); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			saves++
		}

		v := must(View(r.Path()))(t)
		seen := wantWhole(t, v, number)
		for _, name := range inCheckpoints(t, v) {
			if strings.HasPrefix(name, ".") {
				leftovers++
			}
		}
		again := must(Open(r.Path()))(t)
		if got := wantWhole(t, again, number); got.Step != seen.Step || string(got.Meta) != string(seen.Meta) {
			t.Fatalf("a reader saw %s, and after Open it is %s", seen.Meta, got.Meta)
		}
		for _, name := range inCheckpoints(t, again) {
			if strings.HasPrefix(name, ".") {
				t.Fatalf("after Open there is %s", name)
			}
		}
		if _, err := again.History(); err != nil {
			t.Fatal(err)
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
		if seen.Path != "" {
			if err := json.Unmarshal(seen.Meta, &number); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Logf("%d saves; %d folders were left half-done", saves, leftovers)
}
