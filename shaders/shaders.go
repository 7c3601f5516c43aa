// Package shaders holds the Metal compute kernels as source, one subject a file. They are compiled when a program starts.
package shaders

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"
)

//go:embed *.metal
var files embed.FS

const prelude = "prelude.metal"

// Names returns the names of all files but the prelude: "matmul", "norm", …
func Names() []string {
	matches, err := fs.Glob(files, "*.metal")
	if err != nil {
		panic(err)
	}
	var names []string
	for _, m := range matches {
		if m != prelude {
			names = append(names, strings.TrimSuffix(m, ".metal"))
		}
	}
	return names
}

// Source returns a file with the prelude before it, ready for the compiler. It panics if there is no such file.
func Source(name string) string {
	return With(name, text(name+".metal"))
}

// With returns the text of a file called name with the prelude before it.
func With(name, source string) string {
	return fmt.Sprintf("#line 1 %q\n%s\n#line 1 %q\n%s", prelude, text(prelude), name+".metal", source)
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
