// Command generate writes the vector kernels in Go assembly for AVX-512, AVX2 and NEON from one description of each,
// in kernels.go. Run it with go generate in the folder above.
package main

import (
	"fmt"
	"go/format"
	"os"
)

func main() {
	for _, m := range []machine{avx512, avx2, neon} {
		write(m.file()+".s", assembly(m))
		code, err := format.Source([]byte(declarations(m)))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		write(m.file()+".go", string(code))
	}
}

func write(name, text string) {
	if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
