package metal

import "coil/graph"

// BFloats reports which storages a backend with Options.BFloat16 keeps in bfloat: the temporaries of the body, except those
// that an operation needs in float, and those with a view that starts at an odd element, because bindings start at multiples
// of four bytes.
func BFloats(r *graph.Recorder) []bool {
	is := make([]bool, len(r.Storages()))
	for i, s := range r.Storages() {
		is[i] = s.Space == graph.Temporary && !s.Update && s.Len > 1
	}
	for _, op := range r.Body() {
		f := graph.Describe(op)
		for _, t := range append(f.Reads, f.Writes...) {
			if t.Offset%2 != 0 {
				is[t.Storage-1] = false
			}
		}
		for _, t := range f.Exact {
			is[t.Storage-1] = false
		}
	}
	return is
}
