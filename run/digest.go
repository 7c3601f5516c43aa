package run

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"coil/plot"
)

// digestName is a file that makes a long run quick to open: the most useful events up to a position in events.jsonl. It can be
// made again from events.jsonl at any time.
const digestName = "events.digest"

// Bounds of a digest, and how much of events.jsonl is read beside it at most.
const (
	mostReports     = 2048 // events of KindTrain
	mostEvaluations = 1024 // of KindEval
	mostOthers      = 1024
	digestEvery     = 4 << 20 // bytes of events.jsonl between two digests
	digestTail      = 4 << 10 // bytes before the place by which the file is known
	mostDigest      = 64 << 20
	longestDigested = 1 << 20  // bytes of a line; a digest passes over longer ones
	longestKept     = 32 << 10 // bytes of a line without samples
	digestFormat    = 1
)

// A digest has the events that count, in order, up to a position in events.jsonl. It omits events that a resumed run takes back:
// see History. If there are many reports of training, it keeps, of every four neighbours, those with the least and the greatest
// loss and the first whose loss is not finite, so that no peak is lost. The older half is thinned first.
type digest struct {
	at    int64 // bytes of events.jsonl
	lines int
	kept  []keptEvent
	count [3]int // of the classes in kept
	saved int64  // at, when it was written
}

// keptEvent is a line of events.jsonl.
type keptEvent struct {
	class class
	kind  string
	step  int
	loss  float64
	line  []byte
}

type class int

const (
	reports class = iota
	evaluations
	others
)

var mostOf = [...]int{mostReports, mostEvaluations, mostOthers}

// digestHeader is the first line of the file; the kept lines follow.
type digestHeader struct {
	Format int    `json:"format"`
	At     int64  `json:"at"`
	Lines  int    `json:"lines"`
	Tail   string `json:"tail"` // checksum of the bytes before At
	Kept   string `json:"kept"` // checksum of the lines that follow
}

// add takes the next line of events.jsonl, with its end.
func (d *digest) add(line []byte) {
	d.at += int64(len(line))
	d.lines++
	k, ok := keep(line)
	if !ok {
		return
	}
	switch {
	case k.kind == KindResume:
		d.kept = slices.DeleteFunc(d.kept, func(e keptEvent) bool { return e.class != others && e.step > k.step })
		d.recount()
	case k.kind == KindCheckpoint: // the newest says it all
		d.kept = slices.DeleteFunc(d.kept, func(e keptEvent) bool { return e.kind == KindCheckpoint })
		d.recount()
	case k.class == evaluations && len(k.line) > digestTail:
		k.line = withoutDetails(k.line)
	}
	if len(k.line) > longestKept {
		return
	}
	if d.count[k.class] == mostOf[k.class] {
		d.thin(k.class)
	}
	k.line = bytes.Clone(k.line)
	d.kept = append(d.kept, k)
	d.count[k.class]++
}

func (d *digest) recount() {
	d.count = [3]int{}
	for _, e := range d.kept {
		d.count[e.class]++
	}
}

// keep reads the parts of a line that decide whether it is kept. It returns false for a line that is not an event.
func keep(line []byte) (keptEvent, bool) {
	k := keptEvent{line: line, loss: math.NaN()}
	if rest, ok := bytes.CutPrefix(line, []byte(`{"kind":"train","step":`)); ok && line[len(line)-2] == '}' { // as Append writes it; most lines are
		end := bytes.IndexByte(rest, ',')
		step, err := strconv.Atoi(string(rest[:max(0, end)]))
		if err == nil {
			k.kind, k.step = KindTrain, step
			if _, number, ok := bytes.Cut(rest, []byte(`"loss":`)); ok {
				if end := bytes.IndexAny(number, ",}"); end > 0 {
					if x, err := strconv.ParseFloat(string(number[:end]), 64); err == nil {
						k.loss = x
					}
				}
			}
			return k, true
		}
	}
	e, err := decodeEvent(line)
	if err != nil {
		return k, false
	}
	k.kind, k.step, k.class = e.Kind, e.Step, others
	switch e.Kind {
	case KindTrain:
		k.class = reports
	case KindEval:
		k.class = evaluations
	}
	if e.Train != nil && e.Train.Loss != nil {
		k.loss = float64(*e.Train.Loss)
	}
	if e.Eval != nil && e.Eval.Loss != nil {
		k.loss = float64(*e.Eval.Loss)
	}
	return k, true
}

// withoutDetails is an evaluation without its samples and its trace.
func withoutDetails(line []byte) []byte {
	e, err := decodeEvent(line)
	if err != nil || e.Eval == nil {
		return line
	}
	e.Eval.Samples, e.Eval.Trace = nil, nil
	b, err := encodeEvent(e)
	if err != nil {
		return line
	}
	return b
}

// thin removes events of the older half of a class.
func (d *digest) thin(c class) {
	const four = 4
	old := mostOf[c] / 2 / four * four
	var group []int // places in kept
	drop := make(map[int]bool, old)
	start, setup := -1, -1 // the first and the newest, which stay
	for i, e := range d.kept {
		switch {
		case e.kind == KindStart && start < 0:
			start = i
		case e.kind == KindSetup:
			setup = i
		}
	}
	for i, e := range d.kept {
		if e.class != c {
			continue
		}
		if old--; old < 0 {
			break
		}
		if c == others {
			drop[i] = i != start && i != setup && e.kind != KindCheckpoint
			continue
		}
		if group = append(group, i); len(group) == four {
			d.dropBetween(group, drop)
			group = group[:0]
		}
	}
	kept := d.kept[:0]
	for i, e := range d.kept {
		if !drop[i] {
			kept = append(kept, e)
		}
	}
	clear(d.kept[len(kept):])
	d.kept = kept
	d.recount()
}

// dropBetween marks the neighbouring events that are neither extreme nor the first gap.
func (d *digest) dropBetween(group []int, drop map[int]bool) {
	lo, hi, none := plot.Extremes(len(group), func(i int) float64 { return d.kept[group[i]].loss })
	for i, at := range group {
		if i != lo && i != hi && i != none {
			drop[at] = true
		}
	}
}

// write writes the digest beside the events that f holds.
func (d *digest) write(dir string, f io.ReaderAt) error {
	tail, err := tailSum(f, d.at)
	if err != nil {
		return err
	}
	var body bytes.Buffer
	for _, e := range d.kept {
		body.Write(e.line)
	}
	header, err := json.Marshal(digestHeader{digestFormat, d.at, d.lines, tail, fmt.Sprintf("%08x", crc32.Checksum(body.Bytes(), castagnoli))})
	if err != nil {
		return err
	}
	if err := ReplaceFile(filepath.Join(dir, digestName), slices.Concat(header, []byte("\n"), body.Bytes())); err != nil {
		return err
	}
	d.saved = d.at
	return nil
}

// readDigest reads the digest of the events in f, or returns an empty one if there is none.
func readDigest(dir string, f io.ReaderAt) digest {
	b, err := ReadFile(filepath.Join(dir, digestName), mostDigest)
	if err != nil {
		return digest{}
	}
	first, body, _ := bytes.Cut(b, []byte("\n"))
	var h digestHeader
	if json.Unmarshal(first, &h) != nil || h.Format != digestFormat || h.At < 0 || h.Kept != fmt.Sprintf("%08x", crc32.Checksum(body, castagnoli)) {
		return digest{}
	}
	if tail, err := tailSum(f, h.At); err != nil || tail != h.Tail { // other events, or cut ones
		return digest{}
	}
	d := digest{at: h.At, lines: h.Lines, saved: h.At}
	for line := range bytes.Lines(body) {
		if k, ok := keep(line); ok {
			d.kept = append(d.kept, k)
		}
	}
	d.recount()
	return d
}

// tailSum is the checksum of the last bytes before a place.
func tailSum(f io.ReaderAt, at int64) (string, error) {
	b := make([]byte, min(at, digestTail))
	if _, err := f.ReadAt(b, at-int64(len(b))); err != nil {
		return "", err
	}
	return fmt.Sprintf("%08x", crc32.Checksum(b, castagnoli)), nil
}

// follow adds the whole lines that f has from where the digest ends.
func (d *digest) follow(f *os.File) error {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	r := bufio.NewReaderSize(io.NewSectionReader(f, d.at, size-d.at), int(min(longestDigested, size-d.at+1)))
	for {
		line, err := r.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			err = d.passOver(len(line), r)
		case err == nil:
			d.add(line)
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// passOver counts the rest of a line that is too long to be an event.
func (d *digest) passOver(begun int, r *bufio.Reader) error {
	for n := int64(begun); ; {
		more, err := r.ReadSlice('\n')
		n += int64(len(more))
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err == nil {
			d.at += n
			d.lines++
		}
		return err
	}
}
