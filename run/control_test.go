package run

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// requested reads all present requests, without waiting.
func requested(t *testing.T, r *Run) string {
	t.Helper()
	var got []string
	for {
		r.requests.checked = time.Time{}
		q, ok, err := r.NextCommand()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return strings.Join(got, " ")
		}
		got = append(got, string(q.Command))
	}
}

// Whatever is in the file, the requests in it arrive once, in order.
func TestRequestsTakeAnything(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run")
	r, err := CreateAt(path, nil, Info{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	file := filepath.Join(path, controlName)
	add := func(s string) {
		f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString(s); err != nil {
			t.Fatal(err)
		}
	}
	want := func(s string) {
		t.Helper()
		if got := requested(t, r); got != s {
			t.Errorf("requests %q, want %q", got, s)
		}
	}
	want("")
	if err := r.Send(Pause); err != nil {
		t.Fatal(err)
	}
	want("pause")
	want("")
	add("nonsense\n\n{}\n{\"command\":\"explode\"}\n{\"command\":\"evaluate\"}\n")
	want("evaluate")
	add(`{"command":`) // cut off, and finished later
	want("")
	add("\"stop\"}\n")
	want("stop")
	add(strings.Repeat("x", 10*longestCommand))
	want("")
	add("\n{\"command\":\"continue\"}\n")
	want("continue")
	for range 3 {
		add(strings.Repeat("{\"command\":\"pause\"}\n", 5000)) // more than is read at a time
	}
	want(strings.TrimSpace(strings.Repeat("pause ", 15000)))
	if err := os.Truncate(file, 0); err != nil {
		t.Fatal(err)
	}
	want("")
	if err := r.Send(SaveCheckpoint); err != nil {
		t.Fatal(err)
	}
	want("checkpoint")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	want("")
	if err := r.Send(Stop); err != nil {
		t.Fatal(err)
	}
	want("stop")
}

func TestSendersDoNotMixTheirLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run")
	r, err := CreateAt(path, nil, Info{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				if err := r.Send(Evaluate); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if n := strings.Count(requested(t, r), "evaluate"); n != 400 {
		t.Errorf("%d of 400 arrived", n)
	}
}

func TestParseCommand(t *testing.T) {
	for _, c := range Commands() {
		if got, err := ParseCommand(string(c)); got != c || err != nil {
			t.Errorf("%s: %s, %v", c, got, err)
		}
	}
	if _, err := ParseCommand("halt"); fmt.Sprint(err) != `no command "halt"; a run takes pause, continue, checkpoint, evaluate, stop` {
		t.Error(err)
	}
}
