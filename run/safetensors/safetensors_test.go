package safetensors_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"coil/run/safetensors"
)

// bits compares floats as bits, so that NaN equals itself and -0 differs from 0.
var bits = cmp.Comparer(func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) })

func encode(t testing.TB, tensors []safetensors.Tensor, metadata map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := safetensors.Write(&b, tensors, metadata); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func decode(b []byte) (*safetensors.File, error) {
	return safetensors.Read(bytes.NewReader(b), int64(len(b)))
}

// withHeader returns a file with this header, and that many zero bytes of data.
func withHeader(header string, data int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	b = append(b, header...)
	return append(b, make([]byte, data)...)
}

func TestBytes(t *testing.T) {
	got := encode(t, []safetensors.Tensor{{Name: "b", Shape: []int{2}, Data: []float32{1, -2}}, {Name: "a<", Data: []float32{0.5}}},
		map[string]string{"z": "1", "k": "2"})
	header := `{"__metadata__":{"k":"2","z":"1"},` +
		`"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a<":{"dtype":"F32","shape":[],"data_offsets":[8,12]}}`
	header += strings.Repeat(" ", -len(header)&7)
	want := string(binary.LittleEndian.AppendUint64(nil, uint64(len(header)))) + header + "\x00\x00\x80\x3f\x00\x00\x00\xc0\x00\x00\x00\x3f"
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestReadsWhatPythonWrote(t *testing.T) {
	b, err := os.ReadFile("testdata/python.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	f, err := decode(b)
	if err != nil {
		t.Fatal(err)
	}
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	floats := map[string][]float32{
		"weight":      {-1, -0.875, -0.75, -0.625, -0.5, -0.375, -0.25, -0.125, 0, 0.125, 0.25, 0.375},
		"scalar":      {0.1},
		"empty":       {},
		"special":     {nan, inf, -inf, float32(math.Copysign(0, -1)), 1e-45},
		`größe ⊗ "L"`: {3},
	}
	others := map[string]string{"half": "F16", "tokens": "I64", "mask": "BOOL"}
	shapes := map[string][]int{
		"weight": {3, 4}, "scalar": {}, "empty": {0, 5}, "special": {5}, `größe ⊗ "L"`: {1}, "half": {3}, "tokens": {2, 2}, "mask": {3},
	}
	for _, info := range f.Tensors() {
		if diff := cmp.Diff(shapes[info.Name], info.Shape); diff != "" {
			t.Errorf("shape of %q: %s", info.Name, diff)
		}
		delete(shapes, info.Name)
		if want, ok := floats[info.Name]; ok {
			got := make([]float32, len(want))
			if err := f.Read(info.Name, got); err != nil {
				t.Error(err)
			}
			for i := range got {
				if got[i] != want[i] && (got[i] == got[i] || want[i] == want[i]) || math.Signbit(float64(got[i])) != math.Signbit(float64(want[i])) {
					t.Errorf("%q[%d] = %v, want %v", info.Name, i, got[i], want[i])
				}
			}
			continue
		}
		if info.DType != others[info.Name] {
			t.Errorf("%q is %s, want %s", info.Name, info.DType, others[info.Name])
		}
		if err := f.Read(info.Name, make([]float32, 3)); err == nil || !strings.Contains(err.Error(), info.DType) {
			t.Errorf("reading %q of type %s as F32: %v", info.Name, info.DType, err)
		}
	}
	if len(shapes) > 0 {
		t.Errorf("missing: %v", shapes)
	}
	if diff := cmp.Diff(map[string]string{"step": "500", "note": "two\nlines, ü"}, f.Metadata()); diff != "" {
		t.Error(diff)
	}
}

func tensors() *rapid.Generator[[]safetensors.Tensor] {
	return rapid.Custom(func(t *rapid.T) []safetensors.Tensor {
		names := rapid.SliceOfNDistinct(rapid.String().Filter(func(s string) bool { return s != "__metadata__" }), 0, 6, rapid.ID).Draw(t, "names")
		ts := make([]safetensors.Tensor, len(names))
		for i, name := range names {
			shape := rapid.SliceOfN(rapid.IntRange(0, 5), 0, 4).Draw(t, "shape")
			n := 1
			for _, d := range shape {
				n *= d
			}
			data := make([]float32, n)
			seed := rapid.Uint32().Draw(t, "seed")
			for j := range data {
				seed = seed*1664525 + 1013904223
				data[j] = math.Float32frombits(seed)
			}
			ts[i] = safetensors.Tensor{Name: name, Shape: shape, Data: data}
		}
		return ts
	})
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := tensors().Draw(t, "tensors")
		metadata := rapid.MapOfN(rapid.String(), rapid.String(), 0, 3).Draw(t, "metadata")
		var b, again bytes.Buffer
		if err := errors.Join(safetensors.Write(&b, want, metadata), safetensors.Write(&again, want, metadata)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(b.Bytes(), again.Bytes()) {
			t.Fatal("the same tensors gave other bytes")
		}
		f, err := decode(b.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range want {
			info, ok := f.Lookup(w.Name)
			if !ok || info.DType != "F32" || !slices.Equal(info.Shape, w.Shape) {
				t.Fatalf("%+v, %v; want shape %v", info, ok, w.Shape)
			}
			got := make([]float32, len(w.Data))
			if err := f.Read(w.Name, got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(w.Data, got, bits); diff != "" {
				t.Fatal(diff)
			}
		}
		if len(f.Tensors()) != len(want) || len(f.Metadata()) != len(metadata) {
			t.Fatalf("%v %v", f.Tensors(), f.Metadata())
		}
		for k, v := range metadata {
			if f.Metadata()[k] != v {
				t.Fatalf("metadata %q = %q, want %q", k, f.Metadata()[k], v)
			}
		}
	})
}

// Larger than the chunk that is converted at a time, and not a multiple of it.
func TestLarge(t *testing.T) {
	want := make([]float32, 3<<16+7)
	for i := range want {
		want[i] = float32(i)
	}
	f, err := decode(encode(t, []safetensors.Tensor{{Name: "x", Shape: []int{len(want)}, Data: want}}, nil))
	if err != nil {
		t.Fatal(err)
	}
	got := make([]float32, len(want))
	if err := f.Read("x", got); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Error("a large tensor came back changed")
	}
}

func TestWriteRefuses(t *testing.T) {
	for name, tensors := range map[string][]safetensors.Tensor{
		"two tensors are named": {{Name: "x", Shape: []int{0}}, {Name: "x", Shape: []int{0}}},
		"cannot be the name":    {{Name: "__metadata__", Shape: []int{0}}},
		"not UTF-8":             {{Name: "\xff", Shape: []int{0}}},
		"and 3 elements":        {{Name: "x", Shape: []int{2, 2}, Data: make([]float32, 3)}},
		"and 1 elements":        {{Name: "x", Shape: []int{-1, -1}, Data: make([]float32, 1)}},
		"and 0 elements":        {{Name: "x", Shape: []int{}}},
		"[4294967296 4294967":   {{Name: "x", Shape: []int{1 << 32, 1 << 32}}},
	} {
		var b bytes.Buffer
		if err := safetensors.Write(&b, tensors, nil); err == nil || !strings.Contains(err.Error(), name) || b.Len() > 0 {
			t.Errorf("want an error with %q and nothing written: %v, %d bytes", name, err, b.Len())
		}
	}
	if err := safetensors.Write(io.Discard, nil, map[string]string{"k": "\xff"}); err == nil {
		t.Error("metadata that is not UTF-8 was written")
	}
}

// limited fails after that many bytes.
type limited int

var errFull = errors.New("full")

func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), int(*l))
	*l -= limited(n)
	if n < len(p) {
		return n, errFull
	}
	return n, nil
}

func TestWriteReturnsTheErrorOfTheWriter(t *testing.T) {
	ts := []safetensors.Tensor{{Name: "x", Shape: []int{3}, Data: make([]float32, 3)}, {Name: "y", Shape: []int{3}, Data: make([]float32, 3)}}
	for k := range len(encode(t, ts, nil)) {
		l := limited(k)
		if err := safetensors.Write(&l, ts, nil); err != errFull {
			t.Errorf("full after %d bytes: %v", k, err)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	const x8 = `{"dtype":"F32","shape":[2],"data_offsets":[0,8]}`
	for _, c := range []struct {
		header string
		data   int
		want   string
	}{
		{``, 0, "begin with {"},
		{` {}`, 0, "begin with {"},
		{`[]`, 0, "begin with {"},
		{`{`, 0, "not JSON"},
		{`{}{}`, 0, "not JSON"},
		{`{} x`, 0, "not JSON"},
		{`{"x":` + x8 + `}`, 7, "not in the file"},
		{`{"x":` + x8 + `}`, 9, "ends at"},
		{`{}`, 1, "ends at"},
		{`{"x":` + x8 + `,"x":` + x8 + `}`, 8, "comes twice"},
		{`{"x":` + x8 + `,"\u0078":` + x8 + `}`, 8, "comes twice"},
		{`{"x":` + x8 + `,"y":` + x8 + `}`, 8, "begins at"},
		{`{"x":` + x8 + `,"y":{"dtype":"F32","shape":[1],"data_offsets":[12,16]}}`, 16, "begins at"},
		{`{"x":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8, "begins at"},
		{`{"x":` + x8 + `,"y":{"dtype":"F32","shape":[0],"data_offsets":[4,4]}}`, 8, "begins at"},
		{`{"x":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}`, 8, "12 bytes"},
		{`{"x":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}`, 8, "not in the file"},
		{`{"x":{"dtype":"F32","shape":[2],"data_offsets":[0]}}`, 8, "missing"},
		{`{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8,8]}}`, 8, "missing"},
		{`{"x":{"dtype":"F32","shape":[2]}}`, 8, "missing"},
		{`{"x":{"dtype":"F32","Shape":[2],"data_offsets":[0,8]}}`, 8, "missing"},
		{`{"x":{"dtype":"F32","shape":[2],"shape":[2],"data_offsets":[0,8]}}`, 8, "comes twice"},
		{`{"x":{"shape":[2],"data_offsets":[0,8]}}`, 8, "missing"},
		{`{"x":{"dtype":null,"shape":[2],"data_offsets":[0,8]}}`, 8, "unknown dtype"},
		{`{"x":{"dtype":"F31","shape":[2],"data_offsets":[0,8]}}`, 8, `unknown dtype "F31"`},
		{`{"x":{"dtype":"F32","shape":null,"data_offsets":[0,4]}}`, 4, "null"},
		{`{"x":{"dtype":"F32","shape":[null],"data_offsets":[0,0]}}`, 0, "null"},
		{`{"x":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}`, 8, "-2"},
		{`{"x":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}}`, 8, "2.0"},
		{`{"x":{"dtype":"F32","shape":["2"],"data_offsets":[0,8]}}`, 8, "string"},
		{`{"x":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, 0, "too large"},
		{`{"x":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0]}}`, 0, "too large"},
		{`{"x":{"dtype":"F32","shape":[9223372036854775808,0],"data_offsets":[0,0]}}`, 0, "too large"},
		{`{"x":{"dtype":"F32","shape":[18446744073709551616],"data_offsets":[0,0]}}`, 0, "18446744073709551616"},
		{`{"x":{"dtype":"F32","shape":[1],"data_offsets":[18446744073709551612,18446744073709551615]}}`, 4, "not in the file"},
		{`{"x":8}`, 0, "not a JSON object"},
		{`{"x":null}`, 0, "not a JSON object"},
		{`{"__metadata__":{"a":1}}`, 0, "not a string"},
		{`{"__metadata__":{"a":null}}`, 0, "not a string"},
		{`{"__metadata__":{"a":"1","a":"2"}}`, 0, "comes twice"},
		{`{"__metadata__":7}`, 0, "not a JSON object"},
		{"{\"\xff\":" + x8 + "}", 8, "not UTF-8"},
	} {
		if _, err := decode(withHeader(c.header, c.data)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s and %d bytes: %v; want %q", c.header, c.data, err, c.want)
		}
	}
	for _, n := range []uint64{3, 100_000_001, 1 << 63, math.MaxUint64} {
		b := append(binary.LittleEndian.AppendUint64(nil, n), "{}"...)
		if _, err := decode(b); err == nil || !strings.Contains(err.Error(), "cut, or not a safetensors file") {
			t.Errorf("header of %d bytes: %v", n, err)
		}
	}
	if _, err := safetensors.Read(sparse{}, 1<<40); err == nil || !strings.Contains(err.Error(), "limit") {
		t.Errorf("header of more than 100 MB: %v", err)
	}
}

// sparse is a file of 1 TiB whose header is too long.
type sparse struct{}

func (sparse) ReadAt(p []byte, _ int64) (int, error) {
	return len(binary.LittleEndian.AppendUint64(p[:0], 100_000_001)), nil
}

func TestReadAccepts(t *testing.T) {
	for header, data := range map[string]int{
		`{}`:                       0,
		`{}      `:                 0,
		`{ "__metadata__" : { } }`: 0,
		`{"x":{"dtype":"F32","shape":[],"data_offsets":[0,4],"newer":[{}]}}`:                                                                                                 4,
		`{"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[9,0],"data_offsets":[0,0]},"c":{"dtype":"F32","shape":[0],"data_offsets":[4,4]}}`: 4,
	} {
		if _, err := decode(withHeader(header, data)); err != nil {
			t.Errorf("%s: %v", header, err)
		}
	}
}

// Whatever is cut off, Read finds out.
func TestReadFindsEveryCut(t *testing.T) {
	whole := encode(t, []safetensors.Tensor{{Name: "x", Shape: []int{3}, Data: make([]float32, 3)}}, map[string]string{"k": "v"})
	for n := range whole {
		if _, err := decode(whole[:n]); err == nil {
			t.Errorf("%d of %d bytes were accepted", n, len(whole))
		}
		if _, err := safetensors.Read(bytes.NewReader(whole[:n]), int64(len(whole))); err == nil && n < len(whole)-12 {
			t.Errorf("%d of %d bytes were accepted under a wrong size", n, len(whole))
		}
	}
	f, err := safetensors.Read(bytes.NewReader(whole[:len(whole)-1]), int64(len(whole)))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Read("x", make([]float32, 3)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a file that shrank after Read: %v", err)
	}
}

func TestFileReadRefuses(t *testing.T) {
	f, err := decode(encode(t, []safetensors.Tensor{{Name: "x", Shape: []int{3}, Data: make([]float32, 3)}}, nil))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Read("y", nil); err == nil {
		t.Error("a tensor that is not there was read")
	}
	for _, n := range []int{0, 2, 4} {
		if err := f.Read("x", make([]float32, n)); err == nil {
			t.Errorf("3 elements were read into %d", n)
		}
	}
}

// What other writers may put into a header, and the reference implementation reads.
func TestReadsWhatOthersWrite(t *testing.T) {
	for _, header := range []string{`{"__metadata__":null}`, `{"__metadata__":{}}`, "{ \"__metadata__\" :\tnull ,\n\"x\" : { \"dtype\" : \"F8_E4M3\" , \"shape\":[ ] ,\r\"data_offsets\":[ 0 , 1 ] } }  ",
		`{"x":{"dtype":"F8_E4M3FNUZ","shape":[1],"data_offsets":[0,1]}}`, `{"x":{"dtype":"F8_E5M2FNUZ","shape":[1,1],"data_offsets":[0,1]}}`,
		`{"x\\":{"data_offsets":[0,1],"shape":[],"dtype":"U8","more":{"dtype":[1,"}"],"y":-1e5}}}`} {
		data := strings.Count(header, `"dtype" :`) + strings.Count(header, `"dtype":"`)
		if f, err := decode(withHeader(header, data)); err != nil || len(f.Metadata()) != 0 || len(f.Tensors()) != data {
			t.Errorf("%s: %v", header, err)
		}
	}
}

// A wrong file and an unreadable file have different errors.
func TestErrFormat(t *testing.T) {
	for _, b := range [][]byte{nil, []byte("12345678"), withHeader("{", 0), withHeader(`{"x":1}`, 0)} {
		if _, err := decode(b); !errors.Is(err, safetensors.ErrFormat) {
			t.Errorf("%q: %v", b, err)
		}
	}
	if _, err := safetensors.Read(strings.NewReader(""), 100); errors.Is(err, safetensors.ErrFormat) || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a reader that fails: %v", err)
	}
}

// A header of very many tensors is read quickly: with a few allocations for each. One of even more is refused.
func TestManyTensors(t *testing.T) {
	const n = 20_000
	var header strings.Builder
	header.WriteString("{")
	for i := range n {
		fmt.Fprintf(&header, `"tensor.%d":{"dtype":"U8","shape":[1,1],"data_offsets":[%d,%d]},`, i, i, i+1)
	}
	b := withHeader(strings.TrimSuffix(header.String(), ",")+"}", n)
	allocations := testing.AllocsPerRun(1, func() {
		if f, err := decode(b); err != nil || len(f.Tensors()) != n {
			t.Error(err)
		}
	})
	if allocations > 12*n {
		t.Errorf("%.0f allocations", allocations)
	}
	header.Reset()
	header.WriteString("{")
	for i := range 200_001 {
		fmt.Fprintf(&header, `"%x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},`, i)
	}
	if _, err := decode(withHeader(strings.TrimSuffix(header.String(), ",")+"}", 0)); err == nil || !strings.Contains(err.Error(), "more than 200000 tensors") {
		t.Error(err)
	}
}

// What Read accepts is sound, and it never panics.
func FuzzRead(f *testing.F) {
	python, err := os.ReadFile("testdata/python.safetensors")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(python)
	whole := encode(f, []safetensors.Tensor{{Name: "x", Shape: []int{2, 1}, Data: []float32{1, 2}}, {Name: "y", Data: []float32{3}}}, map[string]string{"k": "v"})
	f.Add(whole)
	for _, n := range []int{0, 7, 8, 9, len(whole) / 2, len(whole) - 1} {
		f.Add(whole[:n])
	}
	for _, i := range []int{0, 7, 8, 20, 40, 60, 80, 100} {
		garbled := slices.Clone(whole)
		garbled[i] ^= 0x11
		f.Add(garbled)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := decode(b)
		if err != nil {
			return
		}
		end := int64(8 + binary.LittleEndian.Uint64(b))
		for _, info := range file.Tensors() {
			if info.Offset != end {
				t.Fatalf("%q begins at %d, want %d", info.Name, info.Offset, end)
			}
			end += info.Size
			if info.DType != "F32" {
				continue
			}
			n := 1
			for _, d := range info.Shape {
				n *= d
			}
			if err := file.Read(info.Name, make([]float32, n)); err != nil {
				t.Fatal(err)
			}
		}
		if end != int64(len(b)) {
			t.Fatalf("the tensors end at %d of %d", end, len(b))
		}
	})
}

func Benchmark(b *testing.B) {
	x := make([]float32, 16<<20/4)
	ts := []safetensors.Tensor{{Name: "x", Shape: []int{len(x)}, Data: x}}
	file := encode(b, ts, nil)
	b.Run("Write", func(b *testing.B) {
		b.SetBytes(int64(len(file)))
		for b.Loop() {
			_ = safetensors.Write(io.Discard, ts, nil)
		}
	})
	b.Run("Read", func(b *testing.B) {
		b.SetBytes(int64(len(file)))
		for b.Loop() {
			f, err := decode(file)
			if err == nil {
				err = f.Read("x", x)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}

func ExampleWrite() {
	var b bytes.Buffer
	if err := safetensors.Write(&b, []safetensors.Tensor{{Name: "wte", Shape: []int{1, 2}, Data: []float32{1, 2}}}, nil); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(string(b.Bytes()[8 : b.Len()-8]))
	// Output: {"wte":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}
}
