package text

// glyphs is what stands for coil's own characters where there is only ASCII: one for one, so that columns stay.
var glyphs = map[rune]rune{
	'│': '|', '─': '-', '╭': '+', '╮': '+', '╰': '+', '╯': '+', '┤': '|', '├': '|', '┬': '-', '┴': '+', '┼': '+', '└': '+',
	'⊗': 'x', '…': '~', '·': '.', '–': '-', '▶': '>', '◀': '<', '↑': '^', '↓': 'v', '←': '<', '→': '>', '✓': '+', '✗': 'x',
	'●': 'o', '○': '.', '█': '#', '░': '.', '▏': ' ', '▎': ' ', '▍': ' ', '▌': '-', '▋': '-', '▊': '=', '▉': '#',
	'▲': '^', '▼': 'v', '◉': 'O', '−': '-', '▁': '_', '▂': '_', '▃': '.', '▄': '-', '▅': '-', '▆': '=', '▇': '#', '°': '\'', '×': 'x', '┊': ':',
	'‖': '|', 'α': 'a', 'β': 'b', 'λ': 'l', 'µ': 'u', '²': '2', '↵': '/',
}

// ASCII is the character that stands for one of coil's own where there is only ASCII, and other for any else.
func ASCII(r, other rune) rune {
	if g, ok := glyphs[r]; ok {
		return g
	}
	return other
}
