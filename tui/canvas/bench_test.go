package canvas

import "testing"

// A screen of 160×45 on which every second word has another style.
func BenchmarkANSI(b *testing.B) {
	c := New(160, 45)
	a := c.Area().Box("loss", Focus)
	for y := range a.Height() {
		for x := 0; x < a.Width(); x += 6 {
			a.Text(x, y, "⣀⠤⠒⠉⣿ ", Series(x/6+y))
		}
	}
	for name, depth := range map[string]Depth{"none": NoColor, "16": Color16, "256": Color256} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.ANSI(themes[0], depth)
			}
		})
	}
}
