// Package shaders holds the Metal compute kernels as source, one subject a file. They are compiled when a program starts.
package shaders

import (
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

//go:embed *.metal
var files embed.FS

const prelude = "prelude.metal"

// Definitions choose among forms of a source. The files' #ifdef and #ifndef use only these names.
const (
	PlainMatmul = "PLAIN_MATMUL" // products without SIMD-group matrices
	PlainSums   = "PLAIN_SUMS"   // sums over threads through threadgroup memory, without SIMD-group functions
	NoBFloat    = "NO_BFLOAT"    // nothing is of type bfloat
)

var definitions = []string{PlainMatmul, PlainSums, NoBFloat}

// parts are files that others include.
var parts = []string{prelude, "product.metal", "plain.metal", "teams.metal", "teams_plain.metal"}

// Tensors is the file that is compiled as Metal 4.0, for GPUs with units for tensors.
const Tensors = "tensors"

// Names returns the names of all other files that are compiled: "matmul", "norm", …
func Names() []string {
	matches, err := fs.Glob(files, "*.metal")
	if err != nil {
		panic(err)
	}
	var names []string
	for _, m := range matches {
		if !slices.Contains(parts, m) && m != Tensors+".metal" {
			names = append(names, strings.TrimSuffix(m, ".metal"))
		}
	}
	return names
}

// Parts returns the names of the files that others include.
func Parts() []string {
	var names []string
	for _, p := range parts {
		names = append(names, strings.TrimSuffix(p, ".metal"))
	}
	return names
}

// Source returns a file with the prelude before it, ready for the compiler, in the form that some definitions choose. It
// panics if there is no such file.
func Source(name string, defined ...string) string {
	return With(name, text(name+".metal"), defined...)
}

// With returns the text of a file called name with the prelude before it.
func With(name, source string, defined ...string) string {
	var b strings.Builder
	expand(&b, prelude, text(prelude), defined)
	expand(&b, name+".metal", source, defined)
	return b.String()
}

// expand writes a file without what its conditions leave out, and with the parts that it includes in place. Each line keeps
// its number.
func expand(b *strings.Builder, file, source string, defined []string) {
	fmt.Fprintf(b, "#line 1 %q\n", file)
	var skipped []bool // of each condition that is open
	for i, line := range strings.Split(strings.TrimSuffix(source, "\n"), "\n") {
		directive, argument, _ := strings.Cut(line, " ")
		switch directive {
		case "#ifdef", "#ifndef":
			if !slices.Contains(definitions, argument) {
				panic(fmt.Sprintf("shaders: %s:%d: no definition %s", file, i+1, argument))
			}
			skipped = append(skipped, slices.Contains(defined, argument) != (directive == "#ifdef"))
			line = ""
		case "#else":
			skipped[len(skipped)-1] = !skipped[len(skipped)-1]
			line = ""
		case "#endif":
			skipped = skipped[:len(skipped)-1]
			line = ""
		}
		if slices.Contains(skipped, true) {
			line = ""
		} else if part := strings.Trim(argument, `"`); directive == "#include" && slices.Contains(parts, part) {
			expand(b, part, text(part), defined)
			line = fmt.Sprintf("#line %d %q", i+2, file)
		}
		b.WriteString(line)
		b.WriteByte('\n')
	}
}

// NeedsMetal4 reports whether a source has Metal's tensor operations, which are of version 4.0 of the language. All others are
// of version 3.1, the first with bfloat.
func NeedsMetal4(source string) bool {
	return strings.Contains(source, "#include <MetalPerformancePrimitives/MetalPerformancePrimitives.h>")
}

func text(file string) string {
	b, err := files.ReadFile(file)
	if err != nil {
		panic(err)
	}
	return string(b)
}
