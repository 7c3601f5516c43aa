package graph_test

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"coil/graph"
	"coil/graph/graphtest"
)

// scene is a recording of examples.
type scene struct{ *graph.Recorder }

func (s scene) tensor(rows, cols int) graph.Tensor { return graphtest.Tensor(s.Recorder, rows, cols) }
func (s scene) index(n int) graph.Index            { return graphtest.Index(s.Recorder, n) }

func (s scene) valid() []graph.Op { return graphtest.Examples(s.Recorder) }

// buffer is memory that no device has.
type buffer struct {
	graph.Buffer
	n int
}

func (b buffer) Len() int { return b.n }

func newScene() scene { return scene{graph.NewRecorder(1, 1)} }

// anyShape are the operands whose rows or columns no other operand prescribes.
var anyShape = map[string]bool{
	"fill.Y": true, "sum.X": true, "column sums.X rows": true, "sum of squares.X": true, "embedding.Table rows": true, "embedding at.Table rows": true, "embedding at.Positions rows": true, "embedding backward.DTable rows": true,
	"neuron scale.X rows": true,
}

// optional are the operands that may be missing.
var optional = map[string]bool{
	"matmul.Bias": true, "matmul.Pre": true, "matmul.Residual": true, "activation backward.Y": true, "swiglu backward.Y": true,
	"layernorm.Bias": true, "layernorm.Stats": true, "rmsnorm.Stats": true, "layernorm backward.DGain": true, "layernorm backward.DBias": true,
	"rmsnorm backward.DGain": true, "attention.LogSum": true, "hard attention.Chosen": true, "cached attention at.At": true, "rotary at.At": true, "embedding.Positions": true, "embedding backward.DTable": true,
	"embedding backward.DPositions": true, "cross-entropy.Loss": true, "cross-entropy.Correct": true, "cross-entropy.DLogits": true, "cross-entropy.RowWeights": true, "add.B": true,
	"cosine.Norms": true, "weigh.Residual": true, "adamw.Factor": true, "adafactor.Factor": true, "average.Factor": true, "nesterov.By": true, "muon.Factor": true,
}

// TestShapes makes each operand of each operation a row or a column too large, or leaves it out: the recorder must report
// it with the operation's name.
func TestShapes(t *testing.T) {
	valid := newScene().valid()
	for k := range valid {
		s := newScene()
		op := s.valid()[k]
		if s.Record(op); s.Err() != nil {
			t.Errorf("a valid operation: %v", s.Err())
			continue
		}
		fields := reflect.TypeOf(op).Elem()
		for f := range fields.NumField() {
			changes := map[string]func(reflect.Value){}
			switch fields.Field(f).Type {
			case reflect.TypeFor[graph.Tensor]():
				changes["rows"] = func(v reflect.Value) { v.FieldByName("Rows").SetInt(v.FieldByName("Rows").Int() + 1) }
				changes["cols"] = func(v reflect.Value) {
					v.FieldByName("Cols").SetInt(v.FieldByName("Cols").Int() + 1)
					v.FieldByName("Stride").SetInt(v.FieldByName("Cols").Int())
				}
				changes["none"] = func(v reflect.Value) { v.SetZero() }
			case reflect.TypeFor[graph.Index]():
				changes["length"] = func(v reflect.Value) { v.FieldByName("Len").SetInt(v.FieldByName("Len").Int() + 1) }
				changes["none"] = func(v reflect.Value) { v.SetZero() }
			}
			for change, apply := range changes {
				s := newScene()
				op := s.valid()[k]
				field := reflect.ValueOf(op).Elem().Field(f)
				if field.IsZero() {
					continue
				}
				name := op.Name() + "." + fields.Field(f).Name
				if at := reflect.ValueOf(op).Elem().FieldByName("At"); at.IsValid() && !at.IsZero() {
					name = op.Name() + " at." + fields.Field(f).Name
				}
				apply(field)
				s.Record(op)
				allowed := change == "none" && optional[name] || change != "none" && anyShape[name] || anyShape[name+" "+change]
				switch err := s.Err(); {
				case err == nil && !allowed:
					t.Errorf("%s: %s changed: no error", name, change)
				case err != nil && allowed:
					t.Errorf("%s: %s changed: %v", name, change, err)
				case err != nil && !strings.HasPrefix(err.Error(), op.Name()+": "):
					t.Errorf("%s: %s changed: error %q does not begin with the operation", name, change, err)
				}
			}
		}
	}
}

// TestDense puts gaps between the rows of each operand of each operation: those that the recorder refuses are exact ones, or of an
// operation of the update. So a backend may put gaps in all others.
func TestDense(t *testing.T) {
	dense := 0
	for k := range newScene().valid() {
		for f := range reflect.TypeOf(newScene().valid()[k]).Elem().NumField() {
			s := newScene()
			op := s.valid()[k]
			x, ok := reflect.ValueOf(op).Elem().Field(f).Addr().Interface().(*graph.Tensor)
			if !ok || x.Rows < 2 {
				continue
			}
			x.Stride++
			s.Record(op)
			if s.Err() == nil {
				continue
			}
			name := op.Name() + "." + reflect.TypeOf(op).Elem().Field(f).Name
			if !strings.Contains(s.Err().Error(), "strided") {
				t.Errorf("%s with gaps between its rows: %v", name, s.Err())
			}
			if dense++; !slices.Contains(graph.Describe(op).Exact, *x) && !graph.Describe(op).Gated {
				t.Errorf("%s may have no gaps between its rows and is not exact", name)
			}
		}
	}
	if dense == 0 {
		t.Error("the recorder refuses gaps between the rows of no operand")
	}
}

// TestRules breaks the rules of operations that are not about shapes.
func TestRules(t *testing.T) {
	for _, c := range []struct {
		want string
		op   func(s scene) graph.Op
	}{
		{"matmul: both operands transposed", func(s scene) graph.Op {
			return &graph.Matmul{A: s.tensor(2, 2), B: s.tensor(2, 2), C: s.tensor(2, 2), TransA: true, TransB: true}
		}},
		{"matmul: inner sizes 3 and 2: A is [2,3] (transposed false) and B is [2,3] (transposed false)", func(s scene) graph.Op {
			return &graph.Matmul{A: s.tensor(2, 3), B: s.tensor(2, 3), C: s.tensor(2, 3)}
		}},
		{"weigh: output Y overlaps an operand", func(s scene) graph.Op {
			x := s.tensor(2, 6)
			return &graph.Weigh{X: x, W: s.tensor(2, 3), Y: x, Alpha: 1}
		}},
		{"dots: output Y overlaps an operand", func(s scene) graph.Op {
			x := s.tensor(2, 3)
			return &graph.Dots{A: x, B: s.tensor(2, 3), Y: x, Alpha: 1}
		}},
		{"weigh: the factor is NaN", func(s scene) graph.Op {
			return &graph.Weigh{X: s.tensor(2, 6), W: s.tensor(2, 3), Y: s.tensor(2, 6), Alpha: float32(math.NaN())}
		}},
		{"matmul: accumulate together with", func(s scene) graph.Op {
			return &graph.Matmul{A: s.tensor(2, 2), B: s.tensor(2, 2), C: s.tensor(2, 2), Accumulate: true, Bias: s.tensor(1, 2)}
		}},
		{"matmul: the operand Pre without an activation", func(s scene) graph.Op {
			return &graph.Matmul{A: s.tensor(2, 2), B: s.tensor(2, 2), C: s.tensor(2, 2), Pre: s.tensor(2, 2)}
		}},
		{"matmul: an output overlaps an operand", func(s scene) graph.Op {
			a := s.tensor(2, 2)
			return &graph.Matmul{A: a, B: s.tensor(2, 2), C: a}
		}},
		{"matmul: the residual overlaps an output", func(s scene) graph.Op {
			c := s.tensor(3, 2)
			return &graph.Matmul{A: s.tensor(2, 2), B: s.tensor(2, 2), C: c.RowRange(0, 2), Residual: c.RowRange(1, 3)}
		}},
		{"rmsnorm: rmsnorm has no bias", func(s scene) graph.Op {
			return &graph.LayerNorm{X: s.tensor(2, 3), Gain: s.tensor(1, 3), Bias: s.tensor(1, 3), Y: s.tensor(2, 3), RMS: true}
		}},
		{"layernorm: eps is -1", func(s scene) graph.Op {
			return &graph.LayerNorm{X: s.tensor(2, 3), Gain: s.tensor(1, 3), Y: s.tensor(2, 3), Eps: -1}
		}},
		{"layernorm backward: DX overlaps", func(s scene) graph.Op {
			x := s.tensor(2, 3)
			return &graph.LayerNormBackward{X: x, Gain: s.tensor(1, 3), Stats: s.tensor(2, 2), DY: s.tensor(2, 3), DX: x}
		}},
		{"attention: 3 heads do not divide a width of 4", func(s scene) graph.Op {
			return &graph.Attention{QKV: s.tensor(6, 12), Out: s.tensor(6, 4), Heads: 3, Length: 3}
		}},
		{"attention: 6 rows are not whole sequences of 4 positions", func(s scene) graph.Op {
			return &graph.Attention{QKV: s.tensor(6, 12), Out: s.tensor(6, 4), Heads: 2, Length: 4}
		}},
		{"attention: LogSum is strided", func(s scene) graph.Op {
			return &graph.Attention{QKV: s.tensor(6, 12), Out: s.tensor(6, 4), LogSum: s.tensor(6, 5).Columns(0, 2), Heads: 2, Length: 3}
		}},
		{"attention backward: DQKV overlaps", func(s scene) graph.Op {
			x := s.tensor(3, 6)
			return &graph.AttentionBackward{QKV: x, Out: s.tensor(3, 2), LogSum: s.tensor(3, 1), DOut: s.tensor(3, 2), DQKV: x, Heads: 1, Length: 3}
		}},
		{"rotary: heads of width 3", func(s scene) graph.Op { return &graph.Rotary{X: s.tensor(2, 6), Width: 3, Length: 2, Base: 10} }},
		{"rotary: base is 1", func(s scene) graph.Op { return &graph.Rotary{X: s.tensor(2, 6), Width: 2, Length: 2, Base: 1} }},
		{"embedding: 6 rows are not whole sequences of 4 positions", func(s scene) graph.Op {
			return &graph.Embedding{Table: s.tensor(2, 3), Index: s.index(6), Positions: s.tensor(4, 3), Y: s.tensor(6, 3)}
		}},
		{"embedding: sequences begin at positions that have no values", func(s scene) graph.Op {
			return &graph.Embedding{Table: s.tensor(2, 3), Index: s.index(6), At: s.index(2), Y: s.tensor(6, 3)}
		}},
		{"embedding: sequences of 3 positions of the 2 that there are", func(s scene) graph.Op {
			return &graph.Embedding{Table: s.tensor(2, 3), Index: s.index(6), Positions: s.tensor(2, 3), At: s.index(2), Y: s.tensor(6, 3)}
		}},
		{"rotary: sequences of 2 positions of the 1 that there are", func(s scene) graph.Op {
			return &graph.Rotary{X: s.tensor(2, 6), At: s.index(1), Width: 2, Length: 2, Context: 1, Base: 10}
		}},
		{"rotary: 2 rows are not whole sequences of 0 positions", func(s scene) graph.Op {
			return &graph.Rotary{X: s.tensor(2, 6), At: s.index(1), Width: 2, Base: 10}
		}},
		{"cached attention: 6 rows are not whole sequences of 4 positions", func(s scene) graph.Op {
			return &graph.CachedAttention{QKV: s.tensor(6, 12), Keys: s.tensor(8, 4), Values: s.tensor(8, 4), Out: s.tensor(6, 4), Heads: 2, Length: 4}
		}},
		{"cached attention: a cache of 9 rows for 2 sequences", func(s scene) graph.Op {
			return &graph.CachedAttention{QKV: s.tensor(6, 12), Keys: s.tensor(9, 4), Values: s.tensor(9, 4), Out: s.tensor(6, 4), Heads: 2, Length: 3}
		}},
		{"cached attention: sequences of 3 positions with a cache of 2", func(s scene) graph.Op {
			return &graph.CachedAttention{QKV: s.tensor(6, 12), Keys: s.tensor(4, 4), Values: s.tensor(4, 4), Out: s.tensor(6, 4), Heads: 2, Length: 3}
		}},
		{"cached attention: keys, values and output overlap", func(s scene) graph.Op {
			kv := s.tensor(6, 6)
			return &graph.CachedAttention{QKV: s.tensor(6, 12), Keys: kv.Columns(0, 4), Values: kv.Columns(2, 6), Out: s.tensor(6, 4), Heads: 2, Length: 3}
		}},
		{"cached attention: QKV overlaps an output", func(s scene) graph.Op {
			qkv := s.tensor(6, 12)
			return &graph.CachedAttention{QKV: qkv, Keys: s.tensor(6, 4), Values: s.tensor(6, 4), Out: qkv.Columns(0, 4), Heads: 2, Length: 3}
		}},
		{"cross-entropy: loss is strided", func(s scene) graph.Op {
			return &graph.CrossEntropy{Logits: s.tensor(2, 3), Targets: s.index(2), Loss: s.tensor(2, 2).Columns(0, 1)}
		}},
		{"cross-entropy: row weights is strided", func(s scene) graph.Op {
			return &graph.CrossEntropy{Logits: s.tensor(2, 3), Targets: s.index(2), RowWeights: s.tensor(2, 2).Columns(0, 1)}
		}},
		{"exit: the logits are [7,1], want [T·n,1] for 4 targets", func(s scene) graph.Op {
			return &graph.Exit{Z: s.tensor(7, 1), P: s.tensor(7, 1), Targets: s.index(4)}
		}},
		{"exit: Z is strided", func(s scene) graph.Op {
			return &graph.Exit{Z: s.tensor(4, 2).Columns(0, 1), P: s.tensor(4, 1), Targets: s.index(4)}
		}},
		{"exit: the output overlaps", func(s scene) graph.Op {
			z := s.tensor(4, 1)
			return &graph.Exit{Z: z, P: z, Targets: s.index(4)}
		}},
		{"exit loss: an output overlaps", func(s scene) graph.Op {
			z := s.tensor(4, 1)
			return &graph.ExitLoss{Z: z, P: s.tensor(4, 1), Losses: s.tensor(4, 1), Targets: s.index(4), Loss: s.tensor(4, 1), Entropy: s.tensor(4, 1), DZ: z}
		}},
		{"cosine backward: the gradients overlap", func(s scene) graph.Op {
			d := s.tensor(2, 3)
			return &graph.CosineBackward{A: s.tensor(2, 3), B: s.tensor(2, 3), Norms: s.tensor(1, 3), DA: d, DB: d}
		}},
		{"adamw: Beta2 is 1", func(s scene) graph.Op {
			return &graph.AdamW{X: s.tensor(1, 3), Grad: s.tensor(1, 3), M: s.tensor(1, 3), V: s.tensor(1, 3), Beta1: 0.9, Beta2: 1}
		}},
		{"adamw: M is strided", func(s scene) graph.Op {
			return &graph.AdamW{X: s.tensor(2, 3), Grad: s.tensor(2, 3), M: s.tensor(2, 4).Columns(0, 3), V: s.tensor(2, 3)}
		}},
		{"muon: columns [1,3] and squares none", func(s scene) graph.Op {
			return &graph.Muon{X: s.tensor(2, 3), M: s.tensor(2, 3), O: s.tensor(2, 3), Grad: s.tensor(2, 3), Columns: s.tensor(1, 3)}
		}},
		{"nesterov: output U overlaps", func(s scene) graph.Op {
			m := s.tensor(2, 3)
			return &graph.Nesterov{Grad: s.tensor(2, 3), M: m, U: m}
		}},
		{"normalize: slack is 0", func(s scene) graph.Op {
			return &graph.Normalize{X: s.tensor(2, 3), Squares: s.tensor(1, 1), Y: s.tensor(2, 3), Eps: 1}
		}},
		{"quadratic: output Y overlaps", func(s scene) graph.Op {
			a := s.tensor(3, 3)
			return &graph.Quadratic{A: a, Square: s.tensor(3, 3), Y: a}
		}},
		{"neuron scale: the stats overlap", func(s scene) graph.Op {
			x := s.tensor(3, 3)
			return &graph.NeuronScale{X: x, V: s.tensor(1, 3), Stats: x, Eps: 1}
		}},
		{"neuron scale: eps is 0", func(s scene) graph.Op {
			return &graph.NeuronScale{X: s.tensor(2, 3), V: s.tensor(1, 3), Stats: s.tensor(3, 3)}
		}},
		{"adafactor: clip is 0", func(s scene) graph.Op {
			return &graph.Adafactor{X: s.tensor(1, 3), Grad: s.tensor(1, 3), ColV: s.tensor(1, 3)}
		}},
		{"adafactor: a matrix has RowV, a vector has none: X is [1,3] and RowV [1,1]", func(s scene) graph.Op {
			return &graph.Adafactor{X: s.tensor(1, 3), Grad: s.tensor(1, 3), RowV: s.tensor(1, 1), ColV: s.tensor(1, 3), Clip: 1}
		}},
	} {
		s := newScene()
		s.Record(c.op(s))
		if err := s.Err(); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("error %v, want %s…", err, c.want)
		}
	}
}

// TestOverlap allows disjoint columns of one matrix.
func TestOverlap(t *testing.T) {
	s := newScene()
	m := s.tensor(4, 12)
	s.Record(&graph.Matmul{A: m.Columns(0, 4), B: s.tensor(4, 4), C: m.Columns(4, 8)})
	s.Record(&graph.Matmul{A: m.Slice(0, 2, 0, 4), B: s.tensor(4, 8), C: m.Slice(2, 4, 2, 10)})
	if s.Err() != nil {
		t.Error(s.Err())
	}
	s.Record(&graph.Matmul{A: m.Columns(0, 4), B: s.tensor(4, 4), C: m.Columns(3, 7)})
	if s.Err() == nil {
		t.Error("overlapping columns: no error")
	}
}
