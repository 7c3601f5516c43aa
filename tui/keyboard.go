package tui

import (
	"bytes"
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// keyboard is a terminal's input that hands only whole sequences to bubbletea. bubbletea takes the end of a read for the end
// of a sequence, and the rest of a sequence that was cut for keys.
type keyboard struct {
	*os.File
	assembler
	read time.Time // when something was read last
}

const (
	escapeWait  = 100 * time.Millisecond // after which Esc is a key
	bracketWait = 400 * time.Millisecond // after which a [ that follows Esc late is one
	stringEnds  = time.Second            // of silence end an unrequested answer of the terminal
	pasteEnds   = 10 * time.Second       // of silence end a paste whose end was lost

	chunkSize = 32 // bytes that are read at once: what comes of them fits into bubbletea's buffer of 256
)

// Read reads at least once from the terminal and returns whole sequences; that may be nothing.
func (k *keyboard) Read(data []byte) (int, error) {
	if err := k.fill(); err != nil {
		return 0, err
	}
	for wait := k.wait(); wait > 0; wait = k.wait() {
		more, err := readable(k.File, wait)
		if err != nil {
			return 0, err
		}
		if !more {
			k.timeout()
		} else if len(k.whole) > chunkSize {
			break // it is read next time
		} else if err := k.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(data, k.whole)
	k.whole = slices.Delete(k.whole, 0, n)
	return n, nil
}

func (k *keyboard) fill() error {
	var chunk [chunkSize]byte
	n, err := k.File.Read(chunk[:])
	if err != nil {
		return err
	}
	now := time.Now()
	k.silence(now.Sub(k.read))
	k.read = now
	k.add(chunk[:n])
	return nil
}

// readable waits until a file can be read.
func readable(f *os.File, wait time.Duration) (bool, error) {
	fd := int(f.Fd())
	end := time.Now().Add(wait)
	for {
		var set unix.FdSet
		set.Set(fd)
		left := unix.NsecToTimeval(max(0, time.Until(end)).Nanoseconds())
		n, err := unix.Select(fd+1, &set, nil, nil, &left)
		if !errors.Is(err, unix.EINTR) {
			return n > 0, err
		}
	}
}

// assembler makes whole sequences of bytes. Only Esc alone becomes a key by waiting; any other beginning of a sequence waits
// for its end, so that no part of it becomes a key.
type assembler struct {
	whole   []byte // keys and sequences for bubbletea
	held    []byte // the beginning of a sequence, or of a character
	long    bool   // held is a part of a sequence that is too long to be one of a key
	escaped bool   // Esc has just become a key
	late    bool   // held is of an Esc that has already become a key
	pasting bool
	pasted  []byte
}

const (
	escape      = 0x1b
	longestHeld = 48
	mostPasted  = 96 // bytes of a paste that are kept, for the filter

	pasteBegin = "\x1b[200~"
	pasteEnd   = "\x1b[201~"
)

func (a *assembler) add(b []byte) {
	for _, c := range b {
		a.addByte(c)
	}
}

// wait is how long it is until the bytes that are held become keys, 0 if they do not.
func (a *assembler) wait() time.Duration {
	switch {
	case a.pasting:
	case a.late && len(a.held) == 2:
		return bracketWait
	case len(a.held) > 0 && len(a.held) == escapes(a.held):
		return escapeWait
	}
	return 0
}

// timeout makes keys of the bytes that are held, after the time that wait says.
func (a *assembler) timeout() {
	if a.late {
		a.whole = append(a.whole, a.held[1:]...)
	} else {
		a.whole = append(a.whole, a.held...)
		a.escaped = true
	}
	a.drop()
}

// silence is how long nothing came.
func (a *assembler) silence(d time.Duration) {
	if a.pasting && d > pasteEnds {
		a.pasting = false
		a.drop()
	} else if isString(a.held) && d > stringEnds {
		a.drop()
	}
}

func (a *assembler) drop() { a.held, a.long, a.late = a.held[:0], false, false }

func (a *assembler) addByte(c byte) {
	escaped := a.escaped
	a.escaped = false
	switch {
	case a.pasting:
		a.paste(c)
	case len(a.held) == 0 && escaped && strings.IndexByte("[O"+stringKinds, c) >= 0:
		a.held = append(a.held, escape, c)
		a.late = true
	case len(a.held) == 0:
		a.begin(c)
	case a.held[0] != escape:
		a.character(c)
	case bytes.HasPrefix(a.held, []byte("\x1b[M")): // a mouse report of old terminals: three bytes of any value
		if a.held = append(a.held, c); len(a.held) == 6 {
			a.whole = append(a.whole, a.held...)
			a.drop()
		}
	case isString(a.held):
		a.inString(c)
	case c == escape && len(a.held) == 1:
		a.held = append(a.held, c)
	case c == escape && len(a.held) == escapes(a.held): // Esc that repeats
		a.whole = append(a.whole, c)
	case c < ' ' || c >= 0x7f: // ends a sequence, and is no part of it
		a.drop()
		a.begin(c)
	default:
		a.sequence(c)
	}
}

// begin takes the first byte of anything.
func (a *assembler) begin(c byte) {
	if c == escape || c >= utf8.RuneSelf {
		a.held = append(a.held, c)
	} else {
		a.whole = append(a.whole, c)
	}
}

// character takes a byte after the first one of a character that has several.
func (a *assembler) character(c byte) {
	if utf8.RuneStart(c) { // the one before was cut
		a.drop()
		a.begin(c)
		return
	}
	if a.held = append(a.held, c); utf8.FullRune(a.held) {
		if utf8.Valid(a.held) {
			a.whole = append(a.whole, a.held...)
		}
		a.drop()
	}
}

// sequence takes a printable byte after Esc.
func (a *assembler) sequence(c byte) {
	n := escapes(a.held)
	if len(a.held) < longestHeld {
		a.held = append(a.held, c)
	} else {
		a.long = true
	}
	whole := false
	switch body := a.held[n:]; {
	case body[0] == '[':
		whole = len(body) > 1 && c >= '@' && string(body) != "[[" && string(body) != "[M" || rxvtKey.Match(body)
	case body[0] == 'O':
		whole = len(body) > 1 && c >= '@'
	case strings.IndexByte(stringKinds, body[0]) >= 0:
		a.held = append(a.held[:0], escape, body[0])
	default: // a key with Alt
		whole = true
	}
	if !whole {
		return
	}
	switch s := string(a.held); {
	case a.long, n > 1:
	case s == pasteBegin:
		a.pasting, a.pasted = true, a.pasted[:0]
	case knownToBubbletea.MatchString(s) && s != pasteEnd:
		a.whole = append(a.whole, s...)
	}
	a.drop()
}

var (
	// knownToBubbletea is the sequences that bubbletea makes one message of. Others it takes apart.
	knownToBubbletea = regexp.MustCompile(`^\x1b(\[<\d{1,6};\d{1,6};\d{1,6}[Mm]|\[[0-9:;=>?]*[ -/]*[@-~]|\[[78]\$|O[A-DP-S])$`)
	// rxvtKey is how rxvt says a key with Shift.
	rxvtKey = regexp.MustCompile(`^\[\d+\$$`)
)

// stringKinds are the bytes after Esc that begin a string: an answer of the terminal.
const stringKinds = "]PX^_"

func isString(held []byte) bool {
	return len(held) > 1 && held[0] == escape && strings.IndexByte(stringKinds, held[1]) >= 0
}

// inString takes a byte of a string, which ends with BEL, with Esc \, or with a key that no string has in it.
func (a *assembler) inString(c byte) {
	a.late = false
	switch ending := len(a.held) > 2; {
	case c == '\a', ending && c == '\\':
		a.drop()
	case ending:
		a.held = a.held[:1] // Esc
		a.addByte(c)
	case c == escape:
		a.held = append(a.held, c)
	case c < ' ':
		a.drop()
		a.begin(c)
	}
}

// paste takes a byte of a paste. The paste is handed on when it is whole.
func (a *assembler) paste(c byte) {
	a.held = append(a.held, c)
	for len(a.held) > 0 && !strings.HasPrefix(pasteEnd, string(a.held)) {
		first := a.held[0]
		if first < ' ' || first == 0x7f {
			first = ' '
		}
		if len(a.pasted) < mostPasted {
			a.pasted = append(a.pasted, first)
		}
		a.held = a.held[1:]
	}
	if string(a.held) != pasteEnd {
		return
	}
	a.pasting = false
	a.drop()
	if len(a.pasted) > 0 {
		a.whole = append(a.whole, pasteBegin...)
		a.whole = append(a.whole, a.pasted...) // bubbletea leaves out a character that is cut
		a.whole = append(a.whole, pasteEnd...)
	}
}

// escapes is the number of Esc at the start of a sequence.
func escapes(b []byte) int { return len(b) - len(bytes.TrimLeft(b, "\x1b")) }
