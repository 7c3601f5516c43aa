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

// Read reads the header of the file of that size in r, and keeps r for File.Read.
//
// A File that it returns without error is sound: names are unique, every shape times its type's size is the number of
// bytes the tensor has, and the tensors cover the data from the first byte to the last without gap or overlap.
// So a file that was cut is found here, whatever is missing. A changed value is not: the format has no checksum.
func Read(r io.ReaderAt, size int64) (*File, error) {
	f, err := read(r, size)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	return f, nil
}

func read(r io.ReaderAt, size int64) (*File, error) {
	if size < 8 {
		return nil, fmt.Errorf("%d bytes are too few for a safetensors file", size)
	}
	var length [8]byte
	if err := readAt(r, length[:], 0); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint64(length[:])
	if n > uint64(size-8) {
		return nil, fmt.Errorf("the header should have %d bytes, but the file has only %d: it is cut, or not a safetensors file", n, size)
	}
	if n > maxHeader {
		return nil, fmt.Errorf("the header has %d bytes, and %d is the limit", n, maxHeader)
	}
	header := make([]byte, n)
	if err := readAt(r, header, 8); err != nil {
		return nil, err
	}
	f := &File{r: r, index: make(map[string]int)}
	if err := f.parse(header, 8+int64(n), size); err != nil {
		return nil, err
	}
	return f, nil
}

// parse fills in f from a header, given where the data begins and ends.
func (f *File) parse(header []byte, begin, end int64) error {
	if len(header) == 0 || header[0] != '{' {
		return errors.New("the header does not begin with {")
	}
	if !utf8.Valid(header) {
		return errors.New("the header is not UTF-8") // encoding/json would silently replace what is not
	}
	err := eachMember(header, func(name string, value json.RawMessage) error {
		if name == metadataKey {
			return f.parseMetadata(value)
		}
		t, err := parseEntry(value, begin, end)
		if err != nil {
			return fmt.Errorf("tensor %q: %w", name, err)
		}
		t.Name = name
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

func (f *File) parseMetadata(value json.RawMessage) error {
	f.metadata = make(map[string]string)
	err := eachMember(value, func(key string, value json.RawMessage) error {
		var s *string
		if err := json.Unmarshal(value, &s); err != nil || s == nil {
			return fmt.Errorf("%q is not a string", key)
		}
		f.metadata[key] = *s
		return nil
	})
	if err != nil {
		return fmt.Errorf("metadata: %w", err)
	}
	return nil
}

// parseEntry reads what the header says of one tensor, and returns all but its name.
func parseEntry(value json.RawMessage, begin, end int64) (Info, error) {
	var (
		t              Info
		shape, offsets []uint64
		known          int
	)
	err := eachMember(value, func(key string, value json.RawMessage) (err error) {
		known++
		switch key {
		case "dtype":
			return json.Unmarshal(value, &t.DType)
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
func integers(value json.RawMessage) ([]uint64, error) {
	var elements []*uint64 // so that a null is not taken for 0
	if err := json.Unmarshal(value, &elements); err != nil {
		return nil, err
	}
	if elements == nil {
		return nil, errors.New("null instead of an array")
	}
	ns := make([]uint64, len(elements))
	for i, e := range elements {
		if e == nil {
			return nil, errors.New("null instead of a number")
		}
		ns[i] = *e
	}
	return ns, nil
}

// eachMember calls do for each member of a JSON object, in order. Unlike json.Unmarshal it refuses a key that comes
// twice, and tells "shape" from "Shape".
func eachMember(object []byte, do func(key string, value json.RawMessage) error) error {
	d := json.NewDecoder(bytes.NewReader(object))
	if open, err := d.Token(); err != nil {
		return err
	} else if open != json.Delim('{') {
		return errors.New("not a JSON object")
	}
	seen := make(map[string]bool)
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return err
		}
		key := token.(string) // the decoder refuses any other
		if seen[key] {
			return fmt.Errorf("%q comes twice", key)
		}
		seen[key] = true
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return err
		}
		if err := do(key, value); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something follows the JSON object")
	}
	return nil
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
