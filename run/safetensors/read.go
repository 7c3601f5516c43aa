package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// Info says what a tensor in a file is and where it lies.
type Info struct {
	Name   string
	DType  string // as the format spells it: F32, BF16, I64, …
	Shape  []int
	Offset int64 // of its first byte, from the beginning of the file
	Size   int64 // in bytes
}

// A File is a safetensors file whose header has been read and found valid. Its methods may be called at the same time.
type File struct {
	r        io.ReaderAt
	tensors  []Info
	index    map[string]int // name to position in tensors
	metadata map[string]string
}

// ErrFormat is the error of a file that is no sound safetensors file.
var ErrFormat = errors.New("not a sound safetensors file")

// A formatError is an ErrFormat that says why.
type formatError struct{ err error }

func (e formatError) Error() string        { return "safetensors: " + e.err.Error() }
func (e formatError) Unwrap() error        { return e.err }
func (e formatError) Is(target error) bool { return target == ErrFormat }

// Read reads the header of the file of that size in r, and keeps r for File.Read.
//
// A File that it returns without error is sound: names are unique, every shape times its type's size is the number of
// bytes the tensor has, and the tensors cover the data from the first byte to the last without gap or overlap.
// So a file that was cut is found here, whatever is missing. A changed value is not: the format has no checksum.
//
// The error is an ErrFormat, unless r fails.
func Read(r io.ReaderAt, size int64) (*File, error) {
	header, err := readHeader(r, size)
	if err != nil {
		return nil, err
	}
	f := &File{r: r, index: make(map[string]int)}
	if err := f.parse(header, 8+int64(len(header)), size); err != nil {
		return nil, formatError{err}
	}
	return f, nil
}

func readHeader(r io.ReaderAt, size int64) ([]byte, error) {
	if size < 8 {
		return nil, formatError{fmt.Errorf("%d bytes are too few for a safetensors file", size)}
	}
	var length [8]byte
	if err := readAt(r, length[:], 0); err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	n := binary.LittleEndian.Uint64(length[:])
	if n > uint64(size-8) {
		return nil, formatError{fmt.Errorf("the header should have %d bytes, but the file has only %d: it is cut, or not a safetensors file", n, size)}
	}
	if n > maxHeader {
		return nil, formatError{fmt.Errorf("the header has %d bytes, and %d is the limit", n, maxHeader)}
	}
	header := make([]byte, n)
	if err := readAt(r, header, 8); err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	return header, nil
}

// parse fills in f from a header, given where the data begins and ends.
func (f *File) parse(header []byte, begin, end int64) error {
	if len(header) == 0 || header[0] != '{' {
		return errors.New("the header does not begin with {")
	}
	if !utf8.Valid(header) {
		return errors.New("the header is not UTF-8") // encoding/json would silently replace what is not
	}
	if !json.Valid(header) {
		return errors.New("the header is not JSON")
	}
	err := eachMember(header, func(name string, value []byte) error {
		if name == metadataKey {
			return f.parseMetadata(value)
		}
		t, err := parseEntry(value, begin, end)
		if err != nil {
			return fmt.Errorf("tensor %q: %w", name, err)
		}
		t.Name = name
		if len(f.tensors) == maxTensors {
			return fmt.Errorf("the header has more than %d tensors", maxTensors)
		}
		f.tensors = append(f.tensors, t)
		return nil
	})
	if err != nil {
		return err
	}

	slices.SortStableFunc(f.tensors, func(a, b Info) int {
		// One without elements shares its offset with the next.
		return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Size, b.Size))
	})
	at := begin
	for i, t := range f.tensors {
		if t.Offset != at {
			return fmt.Errorf("tensor %q begins at byte %d, but the one before it ends at %d", t.Name, t.Offset, at)
		}
		at += t.Size
		f.index[t.Name] = i
	}
	if at != end {
		return fmt.Errorf("the tensors end at byte %d, but the file ends at %d: it is cut, or has something appended", at, end)
	}
	return nil
}

// parseMetadata reads the strings beside the tensors. null means none, as in the reference implementation.
func (f *File) parseMetadata(value []byte) error {
	if string(value) == "null" {
		return nil
	}
	f.metadata = make(map[string]string)
	err := eachMember(value, func(key string, value []byte) error {
		if value[0] != '"' {
			return fmt.Errorf("%q is not a string", key)
		}
		f.metadata[key] = text(value)
		return nil
	})
	if err != nil {
		return fmt.Errorf("metadata: %w", err)
	}
	return nil
}

// parseEntry reads what the header says of one tensor, and returns all but its name.
func parseEntry(value []byte, begin, end int64) (Info, error) {
	var (
		t              Info
		shape, offsets []uint64
		known          int
	)
	err := eachMember(value, func(key string, value []byte) (err error) {
		known++
		switch key {
		case "dtype":
			if value[0] != '"' {
				return fmt.Errorf("unknown dtype %s", value)
			}
			t.DType = text(value)
		case "shape":
			shape, err = integers(value)
		case "data_offsets":
			offsets, err = integers(value)
		default:
			known--
		}
		return err
	})
	if err != nil {
		return t, err
	}
	if known != 3 || len(offsets) != 2 {
		return t, errors.New("dtype, shape or data_offsets is missing")
	}
	element, ok := elementSize[t.DType]
	if !ok {
		return t, fmt.Errorf("unknown dtype %q", t.DType)
	}
	t.Shape = make([]int, len(shape))
	for i, d := range shape {
		if d > math.MaxInt {
			return t, fmt.Errorf("shape %d is too large", shape)
		}
		t.Shape[i] = int(d)
	}
	size, ok := bytesOf(t.Shape, element)
	if !ok {
		return t, fmt.Errorf("shape %v is too large", t.Shape)
	}
	if offsets[0] > offsets[1] || offsets[1] > uint64(end-begin) {
		return t, fmt.Errorf("data_offsets %d are not in the file, which has %d bytes of data", offsets, end-begin)
	}
	if uint64(size) != offsets[1]-offsets[0] {
		return t, fmt.Errorf("%s of shape %v has %d bytes, but data_offsets are %d", t.DType, t.Shape, size, offsets)
	}
	t.Offset, t.Size = begin+int64(offsets[0]), size
	return t, nil
}

// integers reads a JSON array of integers that are not negative.
func integers(array []byte) ([]uint64, error) {
	if array[0] != '[' {
		return nil, fmt.Errorf("%s instead of an array", array)
	}
	array = bytes.TrimSpace(array[1 : len(array)-1])
	if len(array) == 0 {
		return nil, nil
	}
	ns := make([]uint64, 0, bytes.Count(array, []byte(","))+1)
	for part := range bytes.SplitSeq(array, []byte(",")) {
		if part = bytes.TrimSpace(part); bytes.HasPrefix(part, []byte(`"`)) {
			return nil, fmt.Errorf("string %s instead of a number", part)
		}
		n, err := strconv.ParseUint(string(part), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%s instead of a whole number from 0 on", part)
		}
		ns = append(ns, n)
	}
	return ns, nil
}

// eachMember calls do for each member of an object, in order; object is a part of valid JSON. Unlike json.Unmarshal it refuses
// a key that comes twice and distinguishes "shape" from "Shape". It is fast enough for headers of very many tensors.
func eachMember(object []byte, do func(key string, value []byte) error) error {
	if object[0] != '{' {
		return errors.New("not a JSON object")
	}
	var few [4]string // of one tensor
	keys, many := few[:0], map[string]bool(nil)
	for at := next(object, 1); object[at] != '}'; {
		end := valueEnd(object, at)
		key := text(object[at:end])
		if many[key] || slices.Contains(keys, key) {
			return fmt.Errorf("%q comes twice", key)
		}
		switch {
		case many != nil:
			many[key] = true
		case len(keys) < cap(few[:]):
			keys = append(keys, key)
		default:
			many = map[string]bool{key: true}
		}
		at = next(object, next(object, end)+1) // behind the colon
		end = valueEnd(object, at)
		if err := do(key, object[at:end]); err != nil {
			return err
		}
		if at = next(object, end); object[at] == ',' {
			at = next(object, at+1)
		}
	}
	return nil
}

// next is the place of the next byte that is no white space.
func next(b []byte, at int) int {
	for b[at] == ' ' || b[at] == '\t' || b[at] == '\n' || b[at] == '\r' {
		at++
	}
	return at
}

// valueEnd is where the value ends that begins at a place of valid JSON.
func valueEnd(b []byte, at int) int {
	for depth := 0; ; at++ {
		switch b[at] {
		case '{', '[':
			depth++
			continue
		case '}', ']':
			depth--
		case '"':
			for at++; b[at] != '"'; at++ {
				if b[at] == '\\' {
					at++
				}
			}
		case ' ', '\t', '\n', '\r', ',', ':':
			continue
		default: // a number or a word
			for at+1 < len(b) && bytes.IndexByte([]byte(",]} \t\n\r:"), b[at+1]) < 0 {
				at++
			}
		}
		if depth == 0 {
			return at + 1
		}
	}
}

// text is the value of a string of valid JSON.
func text(quoted []byte) string {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1 : len(quoted)-1])
	}
	var s string
	if json.Unmarshal(quoted, &s) != nil {
		panic("safetensors: a string that is not JSON") // it was checked
	}
	return s
}

// Tensors returns what is in the file, in the order of the data.
func (f *File) Tensors() []Info {
	return slices.Clone(f.tensors)
}

// Lookup returns the tensor of that name.
func (f *File) Lookup(name string) (Info, bool) {
	i, ok := f.index[name]
	if !ok {
		return Info{}, false
	}
	return f.tensors[i], true
}

// Metadata returns the strings that were stored beside the tensors; nil if there are none.
func (f *File) Metadata() map[string]string {
	return maps.Clone(f.metadata)
}

// Read reads a tensor of type F32 into dst. It is an error if there is no such tensor, if it has another type, or if
// it does not have exactly len(dst) elements.
func (f *File) Read(name string, dst []float32) error {
	t, ok := f.Lookup(name)
	if !ok {
		return fmt.Errorf("safetensors: there is no tensor %q", name)
	}
	if t.DType != float32Type {
		return fmt.Errorf("safetensors: tensor %q is %s, and only F32 can be read", name, t.DType)
	}
	if t.Size != 4*int64(len(dst)) {
		return fmt.Errorf("safetensors: tensor %q has shape %v, and %d elements were asked for", name, t.Shape, len(dst))
	}
	buf := make([]byte, min(chunk, t.Size))
	for at := t.Offset; len(dst) > 0; {
		n := min(len(dst), chunk/4)
		if err := readAt(f.r, buf[:4*n], at); err != nil {
			return fmt.Errorf("safetensors: tensor %q: %w", name, err)
		}
		for i := range dst[:n] {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(buf[4*i:]))
		}
		dst, at = dst[n:], at+int64(4*n)
	}
	return nil
}

// readAt fills b, or says why it cannot.
func readAt(r io.ReaderAt, b []byte, at int64) error {
	n, err := r.ReadAt(b, at)
	if n == len(b) {
		return nil // io.EOF is allowed here
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("read %d bytes at %d: %w", len(b), at, err)
}
