package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"unicode/utf8"
)

// A Tensor is a named array of float32, row-major. A scalar has an empty Shape and one element.
type Tensor struct {
	Name  string
	Shape []int
	Data  []float32
}

// Write writes tensors in the order given, and metadata if there is any. The same arguments give the same bytes.
//
// It is an error if a name is used twice, is "__metadata__" or is not UTF-8, or if a shape does not have as many
// elements as the data; then nothing has been written. Errors of w are returned as they are.
func Write(w io.Writer, tensors []Tensor, metadata map[string]string) error {
	header, err := encodeHeader(tensors, metadata)
	if err != nil {
		return err
	}
	if _, err := w.Write(header); err != nil {
		return err
	}
	buf := make([]byte, chunk)
	for _, t := range tensors {
		for data := t.Data; len(data) > 0; {
			n := min(len(data), chunk/4)
			for i, x := range data[:n] {
				binary.LittleEndian.PutUint32(buf[4*i:], math.Float32bits(x))
			}
			if _, err := w.Write(buf[:4*n]); err != nil {
				return err
			}
			data = data[n:]
		}
	}
	return nil
}

// encodeHeader returns all that comes before the data, the length included.
func encodeHeader(tensors []Tensor, metadata map[string]string) ([]byte, error) {
	// By hand, because the tensors keep their order.
	header := append(make([]byte, 8), '{')
	if len(metadata) > 0 {
		for k, v := range metadata {
			if !utf8.ValidString(k) || !utf8.ValidString(v) {
				return nil, fmt.Errorf("safetensors: metadata %q: %q is not UTF-8", k, v)
			}
		}
		header = appendJSON(header, metadataKey)
		header = append(header, ':')
		header = appendJSON(header, metadata)
	}
	seen := make(map[string]bool, len(tensors))
	var offset int64
	for _, t := range tensors {
		size, ok := bytesOf(t.Shape, 4)
		switch {
		case t.Name == metadataKey:
			return nil, fmt.Errorf("safetensors: %q cannot be the name of a tensor", t.Name)
		case !utf8.ValidString(t.Name):
			return nil, fmt.Errorf("safetensors: the name %q is not UTF-8", t.Name)
		case seen[t.Name]:
			return nil, fmt.Errorf("safetensors: two tensors are named %q", t.Name)
		case !ok || size != 4*int64(len(t.Data)):
			return nil, fmt.Errorf("safetensors: tensor %q has shape %v and %d elements", t.Name, t.Shape, len(t.Data))
		}
		seen[t.Name] = true
		if len(header) > 8+1 {
			header = append(header, ',')
		}
		header = appendJSON(header, t.Name)
		header = append(header, ':')
		header = appendJSON(header, entry{float32Type, append([]int{}, t.Shape...), [2]int64{offset, offset + size}})
		offset += size
	}
	header = append(header, '}')
	for len(header)%8 != 0 {
		header = append(header, ' ')
	}
	if len(header)-8 > maxHeader {
		return nil, fmt.Errorf("safetensors: the header would have %d bytes, and %d is the limit", len(header)-8, maxHeader)
	}
	binary.LittleEndian.PutUint64(header, uint64(len(header)-8))
	return header, nil
}

// entry is what the header says of a tensor.
type entry struct {
	DType       string   `json:"dtype"`
	Shape       []int    `json:"shape"`
	DataOffsets [2]int64 `json:"data_offsets"`
}

func appendJSON(b []byte, v any) []byte {
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("safetensors: header cannot be encoded") // strings and integers always can
	}
	return append(b, bytes.TrimSuffix(buf.Bytes(), []byte("\n"))...)
}
