package corpus

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync/atomic"
	"unicode/utf8"

	"coil/format"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Options say how files are read.
type Options struct {
	// Field is the field of JSON lines, or the column of parquet, that has the text.
	Field string
	// Separator is what stands between documents of plain text. Without one, a file is cut at ends of paragraphs into
	// documents of at least 32 KiB.
	Separator string
	// SkipBad counts documents that can't be read, instead of returning an error.
	SkipBad bool
}

const (
	// cutAt is the size from which on a document of plain text ends with a paragraph, cutLine that from which on it ends with a
	// line, and cutAny that at which it ends with a character.
	cutAt, cutLine, cutAny = 32 << 10, 64 << 10, 128 << 10

	// longest is the most bytes of a document, so that a broken file or an archive that unpacks to far more than its size
	// can't fill the memory.
	longest = 64 << 20

	// widest is the largest window of zstandard: that of --ultra -22 --long=27, zstd's own limit.
	widest = 128 << 20
)

// Skipped counts the documents that were left out, and says why the first was.
type Skipped struct {
	Count int64
	First string
}

func (s *Skipped) add(t Skipped) {
	if s.First == "" {
		s.First = t.First
	}
	s.Count += t.Count
}

func (s Skipped) String() string {
	text := format.Plural(s.Count, "document")
	if s.First != "" {
		text += ", the first: " + s.First
	}
	return text
}

// reader reads the documents of one file.
type reader struct {
	Source
	Options
	longest  int
	consumed atomic.Int64 // bytes of the file
	skipped  Skipped
	yield    func(text []byte) error // the text is valid during the call
}

// Read calls yield with the text of each document, which is valid during the call, until it returns an error. It returns that
// error, or one that names the file and the line.
func (s Source) Read(o Options, yield func(text []byte) error) (Skipped, error) {
	r := &reader{Source: s, Options: o, longest: longest, yield: yield}
	err := r.read()
	return r.skipped, err
}

func (r *reader) read() error {
	f, err := os.Open(r.Path)
	if err != nil {
		return systemError("open", r.Path, err)
	}
	defer f.Close()
	if r.layout == parquetFile {
		return r.table(f)
	}
	return r.unpacked(&counter{f, &r.consumed})
}

// unpacked reads the documents of a file that may be compressed.
func (r *reader) unpacked(from io.Reader) error {
	unpacked, end, err := r.unpack(from)
	if err != nil {
		return r.wrong("line", 1, "the archive has no valid header: the file is damaged, or not compressed as its name says")
	}
	defer end()
	return r.documents(unpacked)
}

// documents reads the documents of an unpacked file.
func (r *reader) documents(from io.Reader) error {
	l := &lines{from: bufio.NewReaderSize(from, 64<<10), line: 1}
	if bom, _ := l.from.Peek(3); string(bom) == "\ufeff" {
		l.from.Discard(3)
	}
	switch {
	case r.layout == jsonLines:
		return r.json(l)
	case r.Separator != "":
		return r.separated(l)
	}
	return r.pieces(l)
}

// unpack undoes the compression. It reads no more than a window ahead.
func (r *reader) unpack(from io.Reader) (io.Reader, func(), error) {
	switch r.packed {
	case gzipped:
		z, err := gzip.NewReader(bufio.NewReaderSize(from, 64<<10))
		return z, func() {}, err
	case zstandard:
		z, err := zstd.NewReader(from, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(1<<62), zstd.WithDecoderMaxWindow(widest))
		if err != nil {
			return nil, nil, err
		}
		return z, z.Close, nil
	}
	return from, func() {}, nil
}

// counter counts what is read.
type counter struct {
	io.Reader
	n *atomic.Int64
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.n.Add(int64(n))
	return n, err
}

// wrong is the error of a line or row, counted from 1; nil if bad documents are skipped.
func (r *reader) wrong(unit string, number int64, text string, args ...any) error {
	at := fmt.Sprintf("%s:%d", r.Path, number)
	if unit != "line" {
		at = fmt.Sprintf("%s: %s %s", r.Path, unit, format.Count(number))
	}
	err := fmt.Errorf("%s: %s", at, fmt.Sprintf(text, args...))
	if !r.SkipBad {
		return fmt.Errorf("%w; task.text.skip_bad = true leaves such documents out", err)
	}
	if r.skipped.Count++; r.skipped.Count == 1 {
		r.skipped.First = err.Error()
	}
	return nil
}

// broken is the error of a file whose reading fails at a line; nil if bad documents are skipped: then the rest of the file is.
func (r *reader) broken(line int64, err error) error {
	switch system := (*fs.PathError)(nil); {
	case errors.As(err, &system):
		return systemError("read", r.Path, err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return r.wrong("line", line, "the archive ends in the middle: it was cut off; fetch it again")
	case errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return r.wrong("line", line, "the archive needs a window of more than %s; pack it again with a smaller one", format.Bytes(widest))
	case r.packed != unpacked:
		return r.wrong("line", line, "the archive is damaged from here on; fetch it again")
	}
	return systemError("read", r.Path, err)
}

// emit yields a document if it has text and is valid; line is where it starts.
func (r *reader) emit(text []byte, line int64) error {
	if len(bytes.TrimSpace(text)) == 0 {
		return nil
	}
	if i := invalid(text); i >= 0 {
		return r.wrong("line", line+int64(bytes.Count(text[:i], []byte("\n"))), "the byte %#02x is not UTF-8; convert the file to UTF-8", text[i])
	}
	return r.yield(text)
}

// invalid returns where text stops being UTF-8, or −1.
func invalid(text []byte) int {
	if utf8.Valid(text) {
		return -1
	}
	i := 0
	for {
		c, n := utf8.DecodeRune(text[i:])
		if c == utf8.RuneError && n <= 1 {
			return i
		}
		i += n
	}
}

// lines reads text in parts of at most one line, in bounded memory.
type lines struct {
	from *bufio.Reader
	line int64 // number of the line that the next part belongs to
}

// next returns the next part of a line, with the line end if it has that. The part is valid until the next call. The error is
// io.EOF at the end.
func (l *lines) next() (part []byte, ends bool, err error) {
	part, err = l.from.ReadSlice('\n')
	switch {
	case err == nil:
		l.line++
		return part, true, nil
	case errors.Is(err, bufio.ErrBufferFull), err == io.EOF && len(part) > 0:
		return part, false, nil
	}
	return part, false, err
}
