//go:build linux && amd64

package emulator

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// compileDivisions compiles k.cl to k.o with every division of floats a call of the run time's fast one. The operator cannot
// be replaced in the source, so it is in LLVM's code, after all optimisation.
func (c *compiler) compileDivisions(tmp string, clang func(...string) (out, msg string, err error)) (msg string, err error) {
	if _, msg, err = clang("-I"+c.include, "-S", "-emit-llvm", "k.cl", "-o", "k.ll"); err != nil {
		return msg, err
	}
	file := filepath.Join(tmp, "k.ll")
	code, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, []byte(divisions(string(code))), 0o666)
	}
	if err != nil {
		return "", err
	}
	_, msg, err = c.run(tmp, "-x", "ir", "--target=x86_64-linux-gnu", march, "-fPIC", "-O2", "-Xclang", "-disable-llvm-passes", "-c", "k.ll", "-o", "k.o")
	return msg, err
}

var divisionRE = regexp.MustCompile(`(?m)^  (%\S+) = fdiv (?:[a-z]+ )*(?:float|<(\d+) x float>) (<[^>]*>|[^,\n]+), (<[^>]*>|[^,\n]+)(.*)$`)

// divisions replaces the divisions of floats and of their vectors in LLVM's code.
func divisions(code string) string {
	n := 0
	divide := func(result, a, b, rest string) string {
		return fmt.Sprintf("  %s = call float @msl_fast(i32 22, float %s, float %s)%s\n", result, a, b, rest)
	}
	code = divisionRE.ReplaceAllStringFunc(code, func(line string) string {
		m := divisionRE.FindStringSubmatch(line)
		result, width, a, b, rest := m[1], m[2], m[3], m[4], m[5]
		n++
		if width == "" {
			return strings.TrimSuffix(divide(result, a, b, rest), "\n")
		}
		var s strings.Builder
		elements, _ := strconv.Atoi(width) // the pattern has digits only
		before := "poison"
		for i := range elements {
			name := func(what string) string { return fmt.Sprintf("%%divide.%d.%s.%d", n, what, i) }
			for _, x := range [][2]string{{"a", a}, {"b", b}} {
				fmt.Fprintf(&s, "  %s = extractelement <%s x float> %s, i32 %d\n", name(x[0]), width, x[1], i)
			}
			s.WriteString(divide(name("q"), name("a"), name("b"), rest))
			after := name("v")
			if i == elements-1 {
				after = result
			}
			fmt.Fprintf(&s, "  %s = insertelement <%s x float> %s, float %s, i32 %d\n", after, width, before, name("q"), i)
			before = after
		}
		return strings.TrimSuffix(s.String(), "\n")
	})
	if n > 0 && !strings.Contains(code, "declare float @msl_fast(") {
		code += "\ndeclare float @msl_fast(i32, float, float)\n"
	}
	return code
}
