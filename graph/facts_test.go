package graph_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"coil/graph"
	"coil/graph/graphtest"
)

// The list of operations has every struct of the package that describes itself, and each has an example.
func TestOperations(t *testing.T) {
	listed, examples := map[string]bool{}, map[string]bool{}
	name := func(op graph.Op) string { return reflect.TypeOf(op).Elem().Name() }
	for _, op := range graph.Operations() {
		if listed[name(op)] {
			t.Errorf("%s is listed twice", name(op))
		}
		listed[name(op)] = true
	}
	for _, op := range graphtest.Examples(graph.NewRecorder(1, 1)) {
		examples[name(op)] = true
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	written := map[string]bool{}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Name.Name == "describe" {
				written[f.Recv.List[0].Type.(*ast.StarExpr).X.(*ast.Ident).Name] = true
			}
		}
	}
	for _, has := range []map[string]bool{listed, examples} {
		if !maps.Equal(has, written) {
			t.Errorf("operations are %v, and not %v", slices.Sorted(maps.Keys(written)), slices.Sorted(maps.Keys(has)))
		}
	}
}

// Every operand of an operation is among its facts, and its facts are of its operands.
func TestFacts(t *testing.T) {
	tensor, index, scalar := reflect.TypeFor[graph.Tensor](), reflect.TypeFor[graph.Index](), reflect.TypeFor[graph.Scalar]()
	for _, op := range graphtest.Examples(graph.NewRecorder(1, 1)) {
		f, v := graph.Describe(op), reflect.ValueOf(op).Elem()
		used := slices.Concat(f.Reads, f.Writes)
		tensors, indices, scalars := []graph.Tensor{}, 0, 0
		for i := range v.NumField() {
			name, field := v.Type().Field(i).Name, v.Field(i)
			switch field.Type() {
			case tensor:
				x := field.Interface().(graph.Tensor)
				if tensors = append(tensors, x); x.Exists() && !slices.Contains(used, x) {
					t.Errorf("%s neither reads nor writes %s", op.Name(), name)
				}
			case index:
				x := field.Interface().(graph.Index)
				if !x.Exists() {
					break
				}
				if indices++; !slices.Contains(f.Indices, x) {
					t.Errorf("%s does not read %s", op.Name(), name)
				}
				if name == "At" && !slices.ContainsFunc(f.Starts, func(s graph.Start) bool { return s.At == x }) {
					t.Errorf("%s: sequences begin anywhere", op.Name())
				}
			case scalar:
				if scalars++; !slices.Contains(f.Scalars, field.Interface().(graph.Scalar)) {
					t.Errorf("%s does not read %s", op.Name(), name)
				}
			}
		}
		if len(f.Indices) != indices || len(f.Scalars) != scalars {
			t.Errorf("%s has %d indices and %d scalars, and reads %d and %d", op.Name(), indices, scalars, len(f.Indices), len(f.Scalars))
		}
		for _, list := range [][]graph.Tensor{f.Reads, f.Writes, f.Exact} {
			for _, x := range list {
				if !slices.Contains(tensors, x) {
					t.Errorf("%s: %v is none of its operands", op.Name(), x)
				}
			}
		}
		if len(f.Writes) == 0 {
			t.Errorf("%s writes nothing", op.Name())
		}
		if !slices.Contains(graph.Kinds, f.Kind) {
			t.Errorf("%s is of no kind of work: %q", op.Name(), f.Kind)
		}
		// What reads a factor that a diverged step makes 0 obeys it.
		if factor := v.FieldByName("Factor"); f.Gated != (factor.IsValid() && slices.Contains(f.Reads, factor.Interface().(graph.Tensor))) {
			t.Errorf("%s: gated is %v", op.Name(), f.Gated)
		}
	}
}

// The FLOPs of products are those of the loops that compute them.
func TestFLOPs(t *testing.T) {
	for _, op := range graphtest.Examples(graph.NewRecorder(1, 1)) {
		want := 0
		switch o := op.(type) {
		case *graph.Matmul:
			for range o.C.Size() {
				inner := o.A.Cols
				if o.TransA {
					inner = o.A.Rows
				}
				want += 2 * inner
			}
		case *graph.Attention: // scores, and the sum of values, of each row with every position
			want = o.Out.Rows * o.Length * (2*o.Out.Cols + 2*o.Out.Cols)
		case *graph.HardAttention: // as if all values counted
			want = o.Out.Rows * o.Length * (2*o.Out.Cols + 2*o.Out.Cols)
		case *graph.HardAttentionBackward:
			want = o.DOut.Rows * o.Length * 4 * 2 * o.DOut.Cols
		case *graph.CachedAttention: // the same, with every position that there is room for
			want = o.Out.Rows * o.Keys.Rows / (o.Out.Rows / o.Length) * (2*o.Out.Cols + 2*o.Out.Cols)
		case *graph.AttentionBackward: // gradients of scores, values, queries and keys
			want = o.Out.Rows * o.Length * 4 * 2 * o.Out.Cols
		}
		if got := graph.Describe(op).FLOPs; got != int64(want) {
			t.Errorf("%s: %d FLOPs, want %d", op.Name(), got, want)
		}
	}
}
