// Where arm64 is the machine itself or qemu, its speed is for a benchmark to say.

//go:build !arm64

package cpu_test

import (
	"bytes"
	"debug/elf"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"coil/thorough"
)

// cores are processors that llvm-mca has a model of. Its apple-m1 is Cyclone, the core of 2013 with three vector pipes, and its
// cortex-a76 is Cortex-A57.
var cores = []string{"apple-m1", "neoverse-n1", "neoverse-n2", "neoverse-v1", "neoverse-v2", "cortex-a76"}

// loop is the body of an innermost loop of a kernel, as GNU assembly.
type loop struct {
	kernel string
	body   []string
	cycles map[string]float64 // of a turn, by core
}

func (l loop) multiplyAdds() (n int) {
	for _, i := range l.body {
		if strings.HasPrefix(i, "fmla") {
			n++
		}
	}
	return n
}

// TestNEONCycles counts the instructions and cycles of every loop of the NEON kernels by the models of llvm-mca, which assume that all
// data is in the first cache. With -v it prints them. Tiles of matmul with enough sums to hide a multiply-add's latency must run at
// the limit of the core's multiply-adds, which is what the model gives to a loop of independent ones.
//
// Loop 1 of a tile multiplies by four columns of A, loop 2 by a column's rows, loop 3 by single elements.
func TestNEONCycles(t *testing.T) {
	thorough.Skip(t)
	for _, tool := range []string{"llvm-objdump-19", "llvm-mca-19"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("COIL_REQUIRE") == "all" {
				t.Fatal("install Debian's llvm-19")
			}
			t.Skip("needs Debian's llvm-19, for " + tool)
		}
	}
	var loops []loop
	for _, folder := range []string{"gemm", "vector"} {
		loops = append(loops, loopsOf(t, folder)...)
	}
	independent := loop{kernel: "independent multiply-adds"}
	for i := range 24 {
		independent.body = append(independent.body, fmt.Sprintf("fmla v%d.4s, v24.4s, v25.4s", i))
	}
	loops = append(loops, independent)
	for _, core := range cores {
		count(t, core, loops)
	}
	independent = loops[len(loops)-1]

	t.Logf("%-28s  instr.  fmla  /4   %s", "loop", strings.Join(cores, "  "))
	tiles := 0
	for _, l := range loops {
		line, n := "", l.multiplyAdds()
		for _, core := range cores {
			line += fmt.Sprintf("  %*.1f", len(core), l.cycles[core])
		}
		t.Logf("%-28s %6d %6d %5.1f %s", l.kernel, len(l.body), n, float64(n)/4, line)
		sums := map[string]bool{}
		lanes := false
		for _, i := range l.body {
			if f := strings.Fields(i); f[0] == "fmla" {
				sums[f[1]] = true
				lanes = lanes || strings.Contains(i, ".s[")
			}
		}
		if !strings.HasPrefix(l.kernel, "tile") || !lanes || len(sums) < 16 {
			continue
		}
		tiles++
		for _, core := range cores {
			limit := float64(n) * independent.cycles[core] / float64(independent.multiplyAdds())
			if l.cycles[core] > 1.05*limit {
				t.Errorf("%s on %s: %.1f cycles for %d multiply-adds, whose limit is %.1f", l.kernel, core, l.cycles[core], n, limit)
			}
		}
	}
	if tiles != 8 { // 4×16, 5×16, 6×12 and 6×16, by quads and by columns
		t.Errorf("%d loops of large tiles found, want 8", tiles)
	}
}

// loopsOf disassembles the kernels of a package and finds their innermost loops: what lies between a branch back and its target.
func loopsOf(t *testing.T, folder string) []loop {
	binary := filepath.Join(t.TempDir(), folder)
	build := exec.Command("go", "test", "-c", "-o", binary, "./"+folder)
	build.Env = append(os.Environ(), "GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	f, err := elf.Open(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	symbols, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range symbols {
		if strings.HasPrefix(s.Name, "coil/backend/cpu/") && strings.HasSuffix(s.Name, "NEON.abi0") {
			names = append(names, s.Name)
		}
	}
	if len(names) < 10 {
		t.Fatalf("%d NEON kernels in %s", len(names), folder)
	}
	out, err := exec.Command("llvm-objdump-19", "-d", "--no-show-raw-insn", "--disassemble-symbols="+strings.Join(names, ","), binary).Output()
	if err != nil {
		t.Fatal(err)
	}
	function := regexp.MustCompile(`^[0-9a-f]+ <.*\.(\w+)NEON\.abi0>:`)
	instruction := regexp.MustCompile(`^\s*([0-9a-f]+):\s+(\S.*)`)
	branch := regexp.MustCompile(`^(b|b\.\w+|cbn?z|tbn?z)\s.*0x([0-9a-f]+) <`)
	var loops []loop
	var name string
	var at []uint64 // addresses of the function's instructions
	var text []string
	inner, number := 0, 0 // behind the last loop; loops so far
	for line := range strings.Lines(string(out)) {
		if m := function.FindStringSubmatch(line); m != nil {
			name, at, text, inner, number = m[1], nil, nil, 0, 0
			continue
		}
		m := instruction.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		address, err := strconv.ParseUint(m[1], 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		what := strings.Join(strings.Fields(strings.Split(m[2], "//")[0]), " ")
		if strings.Contains(what, "unknown") || strings.Contains(what, ".word") {
			t.Fatalf("%s: llvm-objdump does not know %q", name, line)
		}
		at, text = append(at, address), append(text, what)
		if b := branch.FindStringSubmatch(what); b != nil {
			target, err := strconv.ParseUint(b[2], 16, 64)
			if err != nil {
				t.Fatal(err)
			}
			text[len(text)-1] = strings.Split(what, "0x")[0] + "." // llvm-mca does not follow it
			if first := slices.Index(at, target); first >= inner && first < len(at) {
				number++
				loops = append(loops, loop{kernel: fmt.Sprintf("%s, loop %d", name, number), body: slices.Clone(text[first:])})
				inner = len(text)
			}
		}
	}
	return loops
}

// count asks llvm-mca for the cycles of each loop on a core.
func count(t *testing.T, core string, loops []loop) {
	const turns = 50
	var code bytes.Buffer
	for i, l := range loops {
		fmt.Fprintf(&code, "# LLVM-MCA-BEGIN %d\n%s\n# LLVM-MCA-END\n", i, strings.Join(l.body, "\n"))
	}
	cmd := exec.Command("llvm-mca-19", "-mtriple=aarch64", "-mcpu="+core, "-iterations="+strconv.Itoa(turns), "-json")
	cmd.Stdin = &code
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("llvm-mca-19: %v: %s", err, stderr.Bytes())
	}
	var found struct {
		CodeRegions []struct {
			Name        string
			SummaryView struct{ TotalCycles float64 }
		}
	}
	if err := json.Unmarshal(out, &found); err != nil || len(found.CodeRegions) != len(loops) {
		t.Fatalf("llvm-mca-19 gives %d regions for %d loops, %v", len(found.CodeRegions), len(loops), err)
	}
	for i, r := range found.CodeRegions {
		if r.Name != strconv.Itoa(i) {
			t.Fatalf("region %q at place %d", r.Name, i)
		}
		if loops[i].cycles == nil {
			loops[i].cycles = map[string]float64{}
		}
		loops[i].cycles[core] = r.SummaryView.TotalCycles / turns
	}
}
