package metal

import "coil/graph"

// BFloats says which storages a backend with Options.BFloat16 keeps in bfloat: the temporaries of the body. Those stay
// in float that an operation wants exact, and those of which a view begins at an odd element: a binding begins at a multiple
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
