//go:build !noasm

package peak

//go:noescape
func fmaNEON(turns int)

var native = []loop{{"neon", 24 * 4 * 2, fmaNEON}}
