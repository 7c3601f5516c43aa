package metal

import (
	"math"

	"coil/graph"
)

// turns names a table of cosines and sines, which all rotary operations of a kind share.
type turns struct {
	width, length int
	base          float64
}

// table is [length][cosines, sines], computed in float64: the angles of late positions are too large for float32.
func (t turns) table() []float32 {
	half := t.width / 2
	table := make([]float32, 0, t.length*t.width)
	for i := range t.length {
		row := make([]float32, t.width)
		for j := range half {
			sin, cos := math.Sincos(float64(i) * math.Pow(t.base, -2*float64(j)/float64(t.width)))
			row[j], row[half+j] = float32(cos), float32(sin)
		}
		table = append(table, row...)
	}
	return table
}

// turnsOf is the table of a rotary operation.
func (l *lowering) turnsOf(o *graph.Rotary) factor {
	t := turns{o.Width, o.Positions(), o.Base}
	return factor{arg: l.table(t, t.table), vec4: o.Width/2%4 == 0}
}

func (l *lowering) rotary(o *graph.Rotary) {
	x, half := o.X, o.Width/2
	heads, sign := x.Cols/o.Width, float32(1)
	if o.Inverse {
		sign = -1
	}
	turns := l.turnsOf(o)
	vec4 := turns.vec4 && l.vec4(x)
	launch := launch{grid: true,
		file: "rotary", kernel: "rotary", constants: []Constant{boolConstant(0, vec4), boolConstant(1, o.At.Exists())},
		args: []arg{l.inOut(x), turns.arg, l.start(o.At)},
		params: struct {
			Rows, Stride, Heads, Width, Length uint32
			Sign                               float32
		}{uint32(x.Rows), stride(x), uint32(heads), uint32(o.Width), uint32(o.Length), sign},
	}
	launch.groups, launch.threads = over(x.Rows, heads*half, vec4)
	l.add(launch)
}
