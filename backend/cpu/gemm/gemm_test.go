package gemm_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"coil/backend/cpu/gemm"
	"coil/backend/cpu/internal/cliff"
	"coil/thorough"
)

// matrix is a view of strided memory that ends with its last element, at a page that can't be touched. What lies
// between the rows is NaN.
type matrix struct {
	x                []float32
	rows, cols, step int
}

func newMatrix(t *testing.T, rng *rand.Rand, rows, cols int) matrix {
	m := matrix{rows: rows, cols: cols, step: cols + rng.IntN(3)*rng.IntN(20)}
	m.x = cliff.Floats(t, (rows-1)*m.step+cols)
	for i := range m.x {
		m.x[i] = float32(math.NaN())
	}
	for i := range rows {
		for j := range cols {
			m.x[i*m.step+j] = float32(rng.NormFloat64())
		}
	}
	return m
}

func (m matrix) at(i, j int) float64 { return float64(m.x[i*m.step+j]) }

// product checks C[m,n] = old + Σ_k a(i,k)·b(k,j), and that nothing is between the rows.
func (m matrix) product(t *testing.T, label string, old []float32, k int, a, b func(i, j int) float64) {
	t.Helper()
	const unit = 1.0 / (1 << 24)
	for i := range m.rows {
		for j := range m.step {
			if i*m.step+j >= len(m.x) {
				continue
			}
			got := float64(m.x[i*m.step+j])
			if j >= m.cols {
				if !math.IsNaN(got) {
					t.Fatalf("%s: wrote %g outside, at [%d,%d]", label, got, i, j)
				}
				continue
			}
			want, size := 0.0, 0.0
			if old != nil {
				want = float64(old[i*m.step+j])
				size = math.Abs(want)
			}
			for p := range k {
				v := a(i, p) * b(p, j)
				want += v
				size += math.Abs(v)
			}
			// The products' own rounding and the sum's: √k of k errors, four standard deviations.
			if tolerance := (1 + 4*math.Sqrt(float64(k))) * unit * size; !(math.Abs(got-want) <= tolerance) {
				t.Fatalf("%s: [%d,%d] is %g, want %g ± %.2g", label, i, j, got, want, tolerance)
			}
		}
	}
}

// size draws small sizes, edges of tiles, and now and then more than a block of k or of rows.
func size(rng *rand.Rand) int {
	switch rng.IntN(6) {
	case 0:
		return 1 + rng.IntN(4)
	case 1:
		edges := []int{4, 6, 8, 12, 14, 16, 28, 32, 48, 64, 96, 112}
		return edges[rng.IntN(len(edges))] + rng.IntN(3) - 1
	case 2:
		if rng.IntN(4) == 0 {
			edges := []int{256, 384, 512, 768}
			return edges[rng.IntN(len(edges))] + rng.IntN(5) - 2
		}
	}
	return 1 + rng.IntN(70)
}

// addRows is the kernel of [gemm.Sums].
func addRows(sums, x []float32, stride, count int) {
	for i := range count {
		for j := range sums {
			sums[j] += x[i*stride+j]
		}
	}
}

func newScratch(n gemm.Need) gemm.Scratch { return n.Cut(gemm.Aligned(n.Len())) }

func TestMul(t *testing.T) {
	for _, kernel := range gemm.Kernels() {
		products := 80 / thorough.Every(t, 4, "products")
		rng := rand.New(rand.NewPCG(1, 1))
		for range products {
			m, n, k := size(rng), size(rng), size(rng)
			if m*n*k > 2_000_000 {
				continue
			}
			for _, form := range []string{"NN", "NT", "TN", "TN of long rows", "TN packed"} {
				for _, accumulate := range []bool{false, true} {
					label := fmt.Sprintf("%s %s m=%d n=%d k=%d accumulate=%v", kernel.Name, form, m, n, k, accumulate)
					c := newMatrix(t, rng, m, n)
					var old []float32
					if accumulate {
						old = append(old, c.x...)
					}
					var s gemm.Scratch
					if form[0] == 'T' {
						before, n := 0, n // columns of A before those that count
						if form == "TN of long rows" {
							if m*k > 20_000 {
								continue
							}
							before, n = 600, 512+n%40 // enough columns that packing A may pay
							c = newMatrix(t, rng, m, n)
							if accumulate {
								old = slices.Clone(c.x)
							}
						}
						a, b := newMatrix(t, rng, k, before+m), newMatrix(t, rng, k, n)
						if form == "TN packed" {
							left := kernel.PackT(cliff.Floats(t, kernel.PackedTLen(k, m)), k, m, a.x, a.step)
							right := kernel.Pack(cliff.Floats(t, kernel.PackedLen(k, n)), false, k, n, b.x, b.step)
							kernel.MulPackedTN(&s, left, right, c.x, c.step, accumulate)
						} else {
							sums := make([]float32, n)
							kernel.MulTN(&s, m, n, k, a.x[before:], a.step, b.x, b.step, c.x, c.step, accumulate, gemm.Sums{To: sums, Add: addRows})
							for j, sum := range sums {
								want := float32(0)
								for p := range k {
									want += b.x[p*b.step+j]
								}
								if sum != want {
									t.Fatalf("%s: column %d of B sums to %g, want %g", label, j, sum, want)
								}
							}
						}
						c.product(t, label, old, k, func(i, p int) float64 { return a.at(p, before+i) }, b.at)
						continue
					}
					a, b := newMatrix(t, rng, m, k), newMatrix(t, rng, k, n)
					at := b.at
					if form == "NT" {
						b = newMatrix(t, rng, n, k)
						at = func(p, j int) float64 { return b.at(j, p) }
					}
					packed := kernel.Pack(cliff.Floats(t, kernel.PackedLen(k, n)), form == "NT", k, n, b.x, b.step)
					kernel.Mul(&s, m, a.x, a.step, packed, c.x, c.step, accumulate)
					c.product(t, label, old, k, a.at, at)
				}
			}
		}
	}
}

// TestFirstTiles has first tiles of every height, with and without sums of B's columns, which are added up in the order of the rows.
func TestFirstTiles(t *testing.T) {
	for _, kernel := range gemm.Kernels() {
		rng := rand.New(rand.NewPCG(5, 1))
		for m := 1; m <= 2*kernel.TileRows(); m++ {
			for variant := range 4 {
				n, k, accumulate := 2*kernel.PanelWidth()+3, 1+rng.IntN(20), variant%2 > 0
				label := fmt.Sprintf("%s m=%d n=%d k=%d variant=%d", kernel.Name, m, n, k, variant)
				a, b, c := newMatrix(t, rng, k, m), newMatrix(t, rng, k, n), newMatrix(t, rng, m, n)
				var old, sums, want []float32
				if accumulate {
					old = append(old, c.x...)
				}
				if variant/2 > 0 {
					sums, want = cliff.Floats(t, n), make([]float32, n)
					for j := range sums {
						sums[j] = float32(rng.NormFloat64())
					}
					copy(want, sums)
					addRows(want, b.x, b.step, k)
				}
				need := kernel.NeedTN(m, n, k)
				s := need.Cut(cliff.Floats(t, need.Len()))
				kernel.MulTN(&s, m, n, k, a.x, a.step, b.x, b.step, c.x, c.step, accumulate, gemm.Sums{To: sums, Add: addRows})
				c.product(t, label, old, k, func(i, p int) float64 { return a.at(p, i) }, b.at)
				if !slices.Equal(sums, want) {
					t.Fatalf("%s: the columns of B sum to %g, want %g", label, sums, want)
				}
			}
		}
	}
}

// TestParts has more rows of C than are multiplied at a time, with A where it is and packed.
func TestParts(t *testing.T) {
	for _, kernel := range gemm.Kernels() {
		rng := rand.New(rand.NewPCG(6, 1))
		for _, size := range [][2]int{{250, kernel.PanelWidth() + 1}, {301, kernel.PanelWidth() + 1}, {301, 520}} {
			const k = 150
			m, n := size[0], size[1]
			a, b, c := newMatrix(t, rng, k, m), newMatrix(t, rng, k, n), newMatrix(t, rng, m, n)
			old := slices.Clone(c.x)
			need := kernel.NeedTN(m, n, k)
			s := need.Cut(cliff.Floats(t, need.Len()))
			kernel.MulTN(&s, m, n, k, a.x, a.step, b.x, b.step, c.x, c.step, true, gemm.Sums{})
			c.product(t, fmt.Sprintf("%s m=%d n=%d", kernel.Name, m, n), old, k, func(i, p int) float64 { return a.at(p, i) }, b.at)
		}
	}
}

// TestMulPlus adds a matrix and a bias to products, also where the product is written over the matrix. What is added is positive and in
// steps of 1/64, so that its sum is exact and as large as its terms.
func TestMulPlus(t *testing.T) {
	for _, kernel := range gemm.Kernels() {
		products := 60 / thorough.Every(t, 4, "products")
		rng := rand.New(rand.NewPCG(3, 1))
		for range products {
			m, n, k := size(rng), size(rng), size(rng)
			if !kernel.OneBlock(k) || m*n*k > 1_000_000 {
				continue
			}
			for variant := range 6 {
				a, b, c := newMatrix(t, rng, m, k), newMatrix(t, rng, k, n), newMatrix(t, rng, m, n)
				bias, d := newMatrix(t, rng, 1, n), newMatrix(t, rng, m, n)
				var plus gemm.Plus
				switch variant / 2 {
				case 1:
					plus.D, plus.LD = d.x, d.step
				case 2:
					d = c
					plus.D, plus.LD = c.x, c.step
				}
				if variant%2 == 0 {
					plus.Bias = bias.x
				}
				for _, x := range [][]float32{bias.x, d.x} {
					for i, v := range x {
						x[i] = float32(math.Round(64*math.Abs(float64(v))) / 64)
					}
				}
				old := make([]float32, len(c.x))
				for i := range m {
					for j := range n {
						if plus.D != nil {
							old[i*c.step+j] += d.x[i*d.step+j]
						}
						if plus.Bias != nil {
							old[i*c.step+j] += bias.x[j]
						}
					}
				}
				var s gemm.Scratch
				packed := kernel.Pack(cliff.Floats(t, kernel.PackedLen(k, n)), false, k, n, b.x, b.step)
				kernel.MulPlus(&s, m, a.x, a.step, packed, c.x, c.step, plus)
				c.product(t, fmt.Sprintf("%s m=%d n=%d k=%d variant=%d", kernel.Name, m, n, k, variant), old, k, a.at, b.at)
			}
		}
	}
}

func TestPanels(t *testing.T) {
	for _, kernel := range gemm.Kernels() {
		products := 40 / thorough.Every(t, 4, "products")
		rng := rand.New(rand.NewPCG(2, 1))
		for range products {
			m, n, k := size(rng), size(rng), size(rng)
			for variant := range 8 {
				transposed, transA, accumulate := variant&1 != 0, variant&2 != 0, variant&4 != 0
				label := fmt.Sprintf("%s panels m=%d n=%d k=%d transposed=%v, A transposed=%v accumulate=%v", kernel.Name, m, n, k, transposed, transA, accumulate)
				panels := cliff.Floats(t, kernel.PanelLen(k, n))
				b := newMatrix(t, rng, k, n)
				at := b.at
				if transposed {
					b = newMatrix(t, rng, n, k)
					at = func(p, j int) float64 { return b.at(j, p) }
					kernel.PanelsT(panels, b.x, b.step, k, n)
				} else {
					kernel.Panels(panels, b.x, b.step, k, n)
				}
				c := newMatrix(t, rng, m, n)
				var old []float32
				if accumulate {
					old = append(old, c.x...)
				}
				a := newMatrix(t, rng, m, k)
				if transA {
					a = newMatrix(t, rng, k, m)
				}
				s := newScratch(kernel.NeedMul())
				for j := 0; j < n; j += kernel.PanelWidth() {
					w := min(kernel.PanelWidth(), n-j)
					panel, ldp := panels[j*k:], kernel.PanelWidth()
					if !transposed && kernel.InPlace(w) && n%3 > 0 {
						panel, ldp = b.x[j:], b.step
					}
					if transA {
						kernel.MulPanelT(&s, a.x, a.step, m, k, panel, ldp, w, c.x[j:], c.step, accumulate)
						continue
					}
					split := rng.IntN(m+1) / kernel.TileRows() * kernel.TileRows()
					kernel.MulPanel(&s, a.x, a.step, 0, split, k, panel, ldp, w, c.x[j:], c.step, accumulate)
					kernel.MulPanel(&s, a.x, a.step, split, m, k, panel, ldp, w, c.x[j:], c.step, accumulate)
				}
				if transA {
					c.product(t, label, old, k, func(i, p int) float64 { return a.at(p, i) }, at)
				} else {
					c.product(t, label, old, k, a.at, at)
				}
			}
		}
	}
}

// TestDiagonal multiplies with triangles. What products leave out is NaN.
func TestDiagonal(t *testing.T) {
	nan := float32(math.NaN())
	for _, kernel := range gemm.Kernels() {
		rng := rand.New(rand.NewPCG(4, 1))
		for range 100 {
			m, k, tile, w := 1+rng.IntN(40), rng.IntN(50), 1+rng.IntN(kernel.TileRows()), 1+rng.IntN(kernel.PanelWidth())
			label := fmt.Sprintf("%s m=%d k=%d tile=%d w=%d", kernel.Name, m, k, tile, w)
			end := func(i int) int { return min(m, (i/tile+1)*tile) }
			b := newMatrix(t, rng, k+m, w)
			panel := cliff.Floats(t, kernel.PanelLen(k+m, w))
			kernel.Panels(panel, b.x, b.step, k+m, w)
			s := newScratch(kernel.NeedMul())

			for _, accumulate := range []bool{false, true} {
				a, c := newMatrix(t, rng, k+m, m), newMatrix(t, rng, m, w)
				for i := range m {
					for p := k + end(i); p < k+m; p++ {
						a.x[p*a.step+i] = nan
					}
				}
				var old []float32
				if accumulate {
					old = append(old, c.x...)
				}
				kernel.MulRising(&s, a.x, a.step, m, k, tile, panel, kernel.PanelWidth(), w, c.x, c.step, accumulate)
				c.product(t, fmt.Sprintf("%s rising, accumulate=%v", label, accumulate), old, k+m, func(i, p int) float64 {
					if p >= k+end(i) {
						return 0
					}
					return a.at(p, i)
				}, b.at)
			}

			for _, accumulate := range []bool{false, true} {
				a, c := newMatrix(t, rng, m, k+m), newMatrix(t, rng, m, w)
				for i := range m {
					for p := range i / tile * tile {
						a.x[i*a.step+p] = nan
					}
				}
				var old []float32
				if accumulate {
					old = append(old, c.x...)
				}
				kernel.MulFalling(&s, a.x, a.step, m, k+m, tile, panel, kernel.PanelWidth(), w, c.x, c.step, accumulate)
				c.product(t, label+" falling", old, k+m, func(i, p int) float64 {
					if p < i/tile*tile {
						return 0
					}
					return a.at(i, p)
				}, b.at)
			}
		}
	}
}

// TestNeed checks that scratch of the size asked for is enough: nothing grows.
func TestNeed(t *testing.T) {
	for _, kernel := range gemm.Kernels() {
		for _, shape := range [][3]int{{1, 1, 1}, {33, 65, 100}, {113, 47, 800}} {
			m, n, k := shape[0], shape[1], shape[2]
			a, b, c := make([]float32, m*k), make([]float32, k*n), make([]float32, m*n)
			memory := make([]float32, kernel.PackedLen(k, n))
			mul, tn := newScratch(kernel.NeedMul()), newScratch(kernel.NeedTN(m, n, k))
			allocated := testing.AllocsPerRun(3, func() {
				kernel.Mul(&mul, m, a, k, kernel.Pack(memory, false, k, n, b, n), c, n, false)
				kernel.MulTN(&tn, m, n, k, a, m, b, n, c, n, false, gemm.Sums{})
			})
			if allocated != 0 {
				t.Errorf("%s m=%d n=%d k=%d: %g allocations", kernel.Name, m, n, k, allocated)
			}
		}
	}
}

func TestSpecialValues(t *testing.T) {
	inf := float32(math.Inf(1))
	for _, kernel := range gemm.Kernels() {
		for _, special := range []float32{float32(math.NaN()), inf, 1e-40} {
			a, b, c := make([]float32, 3*5), make([]float32, 5*40), make([]float32, 3*40)
			for i := range b {
				b[i] = 1
			}
			a[1*5+2] = special
			var s gemm.Scratch
			kernel.Mul(&s, 3, a, 5, kernel.Pack(make([]float32, kernel.PackedLen(5, 40)), false, 5, 40, b, 40), c, 40, false)
			for i, v := range c {
				want := special
				if i/40 != 1 {
					want = 0
				}
				if v != want && (v == v || want == want) {
					t.Fatalf("%s: [%d,%d] is %g with %g in row 1, want %g", kernel.Name, i/40, i%40, v, special, want)
				}
			}
		}
	}
}

func TestChoose(t *testing.T) {
	for i, k := range gemm.Kernels() {
		got, err := gemm.Choose(k.Name)
		if err != nil || got.Name != k.Name {
			t.Errorf("choose %s: %v, %v", k.Name, got, err)
		}
		if best, err := gemm.Choose(""); i == 0 && (err != nil || best.Name != k.Name) {
			t.Errorf("the best is %v (%v), want %s", best, err, k.Name)
		}
	}
	if _, err := gemm.Choose("abacus"); err == nil {
		t.Error("abacus: no error")
	}
}
