package main

import "math"

var geluC = 2 * math.Sqrt(2/math.Pi)

const geluA = 0.044715

// exp is e^x after Cephes' expf: x = n·ln 2 + r with a whole n, e^x = 2^n·p(r). Below −87 it is e^−87, above 88 e^88,
// so that neither it nor 1/(1+it) leaves the normal numbers. NaN stays NaN.
func (b *body) exp(x value) value {
	x = b.clampLow(b.number(-87), x, "clamp")
	x = b.clampHigh(b.number(88), x, "clamp")
	n := b.round(b.mul(x, b.number(math.Log2E), "x·log2(e)"), "n")
	r := b.fnma(n, b.number(0.693359375), x, "r = x - n·ln 2, high part")
	r = b.fnma(n, b.number(-2.12194440e-4), r, "low part")
	p := b.fma(r, b.number(1.9875691500e-4), b.number(1.3981999507e-3), "p(r)")
	for _, c := range []float64{8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1} {
		p = b.fma(p, r, b.number(c), "")
	}
	rr := b.mul(r, r, "r²")
	y := b.add(r, b.number(1), "1 + r")
	y = b.fma(p, rr, y, "+ r²·p")
	return b.scale(y, n, "·2^n")
}

// log is the natural logarithm of a positive normal number after Cephes' logf, with every operation rounded: x = m·2^n with m from √½ to
// √2, z = m − 1, log x = n·ln 2 + z − z²/2 + z³·p(z). NaN stays NaN.
func (b *body) log(x value) value {
	bits := func(x uint32) value { return b.number(float64(math.Float32frombits(x))) }
	const one, half = 0x3f800000, 0x3f3504f3 // of 1 and √½
	t := b.addBits(x, bits(one-half), "so that the exponent changes at √½")
	m := b.addBits(b.and(t, bits(0x007fffff), "mantissa"), bits(half), "m")
	n := b.sub(b.exponent(t, "n + 127"), b.number(127), "n")
	z := b.sub(m, b.number(1), "z")
	p := b.number(7.0376836292e-2)
	for _, c := range []float64{-1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1, 2.0000714765e-1,
		-2.4999993993e-1, 3.3333331174e-1} {
		p = b.add(b.mul(p, z, ""), b.number(c), "p(z)")
	}
	y := b.mul(b.mul(b.mul(z, z, "z²"), z, "z³"), p, "·p")
	y = b.sub(y, b.mul(b.mul(z, b.number(0.5), ""), z, "z²/2"), "- z²/2")
	y = b.add(y, b.mul(n, b.number(-2.12194440e-4), ""), "+ n·ln 2, low part")
	y = b.add(b.add(z, y, "+ z"), b.mul(n, b.number(0.693359375), ""), "high part")
	return b.add(y, b.sub(x, x, "0 or NaN"), "")
}

// gate is s = 1/(1+exp(−2u)), 2u = 2√(2/π)·(x + 0.044715·x³), with x² for the derivative.
func (b *body) gate(x value) (s, xx value) {
	xx = b.mul(x, x, "x²")
	u := b.fma(xx, b.number(-geluC*geluA), b.number(-geluC), "")
	u = b.mul(u, x, "-2u")
	return b.inverse(b.add(b.exp(u), b.number(1), ""), "s"), xx
}

// sigmoid is 1/(1+exp(−x)).
func (b *body) sigmoid(x value) value {
	return b.inverse(b.add(b.exp(b.mul(x, b.number(-1), "-x")), b.number(1), ""), "s")
}

func init() {
	kernels = append(kernels, perRow("scale", "alpha"), perRow("dot"),
		perRow("sum"))
}

var kernels = []kernel{
	{
		name: "add", formula: "y = alpha·a + beta·b", slices: []string{"y", "a", "b"}, scalars: []string{"alpha", "beta"},
		body: func(b *body) {
			t := b.mul(b.load("a"), b.scalar("alpha"), "alpha·a")
			b.store("y", b.fma(b.load("b"), b.scalar("beta"), t, "+ beta·b"))
		},
	},
	{
		name: "scale", formula: "y = alpha·x", slices: []string{"y", "x"}, scalars: []string{"alpha"},
		body: func(b *body) { b.store("y", b.mul(b.load("x"), b.scalar("alpha"), "")) },
	},
	{
		name: "multiply", formula: "y = alpha·a·b", slices: []string{"y", "a", "b"}, scalars: []string{"alpha"},
		body: func(b *body) {
			b.store("y", b.mul(b.mul(b.load("a"), b.scalar("alpha"), "alpha·a"), b.load("b"), "·b"))
		},
	},
	{
		name: "dot", formula: "Σ a·b", slices: []string{"a", "b"}, results: []string{"sum"}, unroll: 4,
		body: func(b *body) { b.prod(0, b.load("a"), b.load("b")) },
	},
	{
		name: "sum", formula: "Σ x", slices: []string{"x"}, results: []string{"sum"}, unroll: 4,
		body: func(b *body) { b.sum(0, b.load("x")) },
	},
	{
		name: "largest", formula: "the largest x; n > 0", slices: []string{"x"}, results: []string{"most"}, unroll: 4,
		body: func(b *body) { b.largest(0, b.load("x")) },
	},
	{
		name: "exp", formula: "y = exp(scale·x + shift), Σ y", slices: []string{"y", "x"}, scalars: []string{"scale", "shift"},
		results: []string{"sum"},
		pairs:   true,
		body: func(b *body) {
			y := b.exp(b.fma(b.load("x"), b.scalar("scale"), b.scalar("shift"), "scale·x + shift"))
			b.store("y", y)
			b.sum(0, y)
		},
	},
	{
		name: "gelu", formula: "y = x/(1+exp(-2u)), u = √(2/π)·(x + 0.044715·x³)", slices: []string{"y", "x"},
		pairs: true,
		body: func(b *body) {
			x := b.load("x")
			s, _ := b.gate(x)
			b.store("y", b.mul(s, x, "x·s"))
		},
	},
	{
		name: "geluBackward", formula: "y = x·s, dx = dy·(s + y·(1-s)·2u'), 2u' = 2√(2/π)·(1 + 3·0.044715·x²)",
		slices: []string{"dx", "y", "dy", "x"},
		pairs:  true,
		body: func(b *body) {
			x := b.load("x")
			dy := b.load("dy")
			s, xx := b.gate(x)
			y := b.mul(s, x, "y = x·s")
			b.store("y", y)
			u := b.fma(xx, b.number(3*geluC*geluA), b.number(geluC), "2u'")
			t := b.mul(b.sub(b.number(1), s, "1 - s"), y, "y·(1-s)")
			b.store("dx", b.mul(b.fma(u, t, s, "s + y·(1-s)·2u'"), dy, "dx"))
		},
	},
	{
		name: "relu", formula: "y = max(x, 0)", slices: []string{"y", "x"},
		body: func(b *body) { b.store("y", b.clampLow(b.number(0), b.load("x"), "")) },
	},
	{
		name: "reluBackward", formula: "y = max(x, 0), dx = dy where x > 0, else 0", slices: []string{"dx", "y", "dy", "x"},
		body: func(b *body) {
			x := b.load("x")
			dy := b.load("dy")
			b.store("y", b.clampLow(b.number(0), x, "y"))
			b.store("dx", b.where(x, dy, "dx"))
		},
	},
	{
		name: "softCap", formula: "y = cap·tanh(x/cap) = cap - 2·cap/(1+exp(two·x)), two = 2/cap", slices: []string{"y", "x"}, scalars: []string{"cap", "two"},
		pairs: true,
		body: func(b *body) {
			e := b.exp(b.mul(b.load("x"), b.scalar("two"), "2x/cap"))
			s := b.inverse(b.add(e, b.number(1), ""), "s")
			c := b.scalar("cap")
			b.store("y", b.fnma(s, b.add(c, c, "2·cap"), c, "cap - 2·cap·s"))
		},
	},
	{
		name: "softCapBackward", formula: "dx = dy·(1 - (y/cap)²)", slices: []string{"dx", "dy", "y"}, scalars: []string{"inverse"},
		body: func(b *body) {
			t := b.mul(b.load("y"), b.scalar("inverse"), "y/cap")
			dy := b.load("dy")
			b.store("dx", b.fnma(b.mul(t, t, "²"), dy, dy, "dy - dy·(y/cap)²"))
		},
	},
	{
		name: "swiglu", formula: "y = g/(1+exp(-g))·u", slices: []string{"y", "g", "u"},
		pairs: true,
		body: func(b *body) {
			g := b.load("g")
			t := b.mul(b.sigmoid(g), g, "g·s")
			b.store("y", b.mul(t, b.load("u"), "·u"))
		},
	},
	{
		name: "swigluBackward", formula: "s = 1/(1+exp(-g)): dg = dy·u·(s + g·s·(1-s)), du = dy·g·s, y = g·s·u",
		slices: []string{"dg", "du", "y", "dy", "g", "u"},
		pairs:  true,
		body: func(b *body) {
			g := b.load("g")
			s := b.sigmoid(g)
			t := b.mul(s, g, "g·s")
			d := b.fma(t, b.sub(b.number(1), s, "1 - s"), s, "s + g·s·(1-s)")
			u, dy := b.load("u"), b.load("dy")
			b.store("y", b.mul(t, u, "y"))
			b.store("du", b.mul(t, dy, "du"))
			b.store("dg", b.mul(b.mul(dy, u, "dy·u"), d, "dg"))
		},
	},
	{
		name: "columnSums", formula: "sums += Σ x over count rows", slices: []string{"sums|", "x"}, columns: true, adds: true, results: []string{"sums"},
		body: func(b *body) { b.sum(0, b.load("x")) },
	},
	{
		name: "largestColumns", formula: "most = the largest x of count rows", slices: []string{"most|", "x"}, columns: true, results: []string{"most"},
		body: func(b *body) { b.largest(0, b.load("x")) },
	},
	{
		name: "expColumns", formula: "x = exp(scale·x + shift) in count rows, sums = Σ x", slices: []string{"x", "shift|", "sums|"}, scalars: []string{"scale"},
		columns: true, results: []string{"sums"},
		body: func(b *body) {
			y := b.exp(b.fma(b.load("x"), b.scalar("scale"), b.load("shift"), "scale·x + shift"))
			b.store("x", y)
			b.sum(0, y)
		},
	},
	{
		name: "softmaxGradientColumns", formula: "p = exp(scale·p + shift), d = scale·p·(d - delta) in count rows", slices: []string{"p", "d", "shift|", "delta|"},
		scalars: []string{"scale"}, columns: true,
		body: func(b *body) {
			p := b.exp(b.fma(b.load("p"), b.scalar("scale"), b.load("shift"), "scale·p + shift"))
			b.store("p", p)
			t := b.mul(b.sub(b.load("d"), b.load("delta"), "d - delta"), b.scalar("scale"), "·scale")
			b.store("d", b.mul(t, p, "·p"))
		},
	},
	{
		name: "logSums", formula: "l = log(s) - shift, s = 1/s", slices: []string{"l", "s", "shift"},
		pairs: true,
		body: func(b *body) {
			s := b.load("s")
			b.store("l", b.sub(b.log(s), b.load("shift"), "- shift"))
			b.store("s", b.div(b.number(1), s, "1/s"))
		},
	},
	{
		name: "squaresRows", formula: "Σ (x - mean)²", slices: []string{"x"}, rows: []string{"mean"}, results: []string{"sum"}, unroll: 4,
		body: func(b *body) {
			d := b.sub(b.load("x"), b.scalar("mean"), "x - mean")
			b.prod(0, d, d)
		},
	},
	{
		name: "normRows", formula: "y = (x - mean)·rstd·gain + bias", slices: []string{"y", "x", "gain", "bias?"}, rows: []string{"mean", "rstd"},
		body: func(b *body) {
			h := b.mul(b.sub(b.load("x"), b.scalar("mean"), "x - mean"), b.scalar("rstd"), "·rstd")
			y := b.mul(h, b.load("gain"), "·gain")
			b.ifGiven("bias", func() { b.reassign(y, b.add(y, b.load("bias"), "+ bias")) })
			b.store("y", y)
		},
	},
	{
		name: "normSumsRows", formula: "h = (x - mean)·rstd, g = dy·gain: Σ g, Σ g·h; dgain += dy·h, dbias += dy",
		slices: []string{"dgain?", "dbias?", "dy", "x", "gain"}, rows: []string{"mean", "rstd"}, results: []string{"sum", "sumh"},
		body: func(b *body) {
			h := b.mul(b.sub(b.load("x"), b.scalar("mean"), "x - mean"), b.scalar("rstd"), "h")
			dy := b.load("dy")
			g := b.mul(dy, b.load("gain"), "g")
			b.sum(0, g)
			b.prod(1, g, h)
			b.ifGiven("dgain", func() { b.store("dgain", b.fma(dy, h, b.load("dgain"), "+ dy·h")) })
			b.ifGiven("dbias", func() { b.store("dbias", b.add(dy, b.load("dbias"), "+ dy")) })
		},
	},
	{
		name: "normInputRows", formula: "dx = rstd·(dy·gain - mg - (x - mean)·rstd·mgh), added to old if that is given",
		slices: []string{"dx", "dy", "x", "gain", "old?"}, rows: []string{"mean", "rstd", "mg", "mgh"},
		body: func(b *body) {
			h := b.mul(b.sub(b.load("x"), b.scalar("mean"), "x - mean"), b.scalar("rstd"), "h")
			g := b.sub(b.mul(b.load("dy"), b.load("gain"), "g"), b.scalar("mg"), "- mg")
			d := b.mul(b.fnma(h, b.scalar("mgh"), g, "- h·mgh"), b.scalar("rstd"), "·rstd")
			b.ifGiven("old", func() { b.reassign(d, b.add(d, b.load("old"), "+ old")) })
			b.store("dx", d)
		},
	},
	{
		name: "rotate", formula: "(a, b) = (a·c - b·s, a·s + b·c), for count pairs of a and b that lie stride bytes apart",
		slices: []string{"a", "b", "c", "s"}, repeat: []string{"a", "b"},
		body: func(b *body) {
			x, y, c, s := b.load("a"), b.load("b"), b.load("c"), b.load("s")
			b.store("a", b.fnma(y, s, b.mul(x, c, "a·c"), "- b·s"))
			b.store("b", b.fma(y, c, b.mul(x, s, "a·s"), "+ b·c"))
		},
	},
	{
		name: "adamw",
		formula: "d = factor·g, m = beta1·m + alpha1·d, v = beta2·v + alpha2·d²,\n" +
			"//	x = x - rate·(decay·x + m·c1/(√(v·c2) + eps)); alpha = 1 - beta",
		slices: []string{"x", "m", "v", "g"}, scalars: []string{"rate", "decay", "beta1", "beta2", "alpha1", "alpha2", "c1", "c2", "eps", "factor"},
		body: func(b *body) {
			d := b.mul(b.load("g"), b.scalar("factor"), "d")
			m := b.fma(d, b.scalar("alpha1"), b.mul(b.load("m"), b.scalar("beta1"), ""), "m")
			b.store("m", m)
			v := b.fma(b.mul(d, d, "d²"), b.scalar("alpha2"), b.mul(b.load("v"), b.scalar("beta2"), ""), "v")
			b.store("v", v)
			r := b.add(b.sqrt(b.mul(v, b.scalar("c2"), "v·c2"), "√"), b.scalar("eps"), "+ eps")
			q := b.div(b.mul(m, b.scalar("c1"), "m·c1"), r, "")
			x := b.load("x")
			b.store("x", b.fnma(b.fma(x, b.scalar("decay"), q, "+ decay·x"), b.scalar("rate"), x, "x"))
		},
	},
}
