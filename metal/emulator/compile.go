//go:build linux && amd64

package emulator

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"coil/shaders"

	"golang.org/x/sys/cpu"
	"golang.org/x/sys/unix"
)

// The run time and Metal's standard library, which are compiled with clang where the tests run, and all else that a library
// in the cache depends on.
//
//go:embed runtime calls.go compile.go divide.go entry.go lex.go lint.go names.go names.txt overloads.go overloads.txt pretend.go registers.go translate.go
var sources embed.FS

const shimFile = "metal_stdlib"

// shimFiles are the emulator's own headers, as clang's syntax tree names them.
var shimFiles = map[string]bool{shimFile: true, "metal_tensor": true, "MetalPerformancePrimitives.h": true}

// Code is made for a processor of this kind; older ones have no conversions of half.
const march = "-march=x86-64-v3"

var (
	runtimeFlags = []string{
		"-x", "c++", "-std=c++20", "-O2", march, "-fPIC", "-fno-exceptions", "-fno-rtti", "-fvisibility=hidden", "-shared", "-lm", "-lpthread",
	}
	// Metal 3.1 as C++ for OpenCL. OpenCL's own names, double and variables of the program are switched off.
	metalFlags = []string{
		"-cl-std=clc++2021", "-cl-no-stdinc", "--target=x86_64-linux-gnu",
		"-Xclang", "-cl-ext=-cl_khr_fp64,-__opencl_c_fp64,-__opencl_c_program_scope_global_variables,-__opencl_c_device_enqueue",
		"-U__OPENCL_CPP_VERSION__", "-D__METAL_VERSION__=310", "-D__METAL__=1", "-D__HAVE_BFLOAT__=1", "-cl-single-precision-constant",
		"-fno-color-diagnostics", "-ferror-limit=8", "-Wno-unknown-attributes", "-Werror=return-type", "-Werror=uninitialized", "-Werror=sometimes-uninitialized",
		// Metal 3 is C++14.
		"-Wpre-c++17-compat", "-Werror=pre-c++17-compat", "-Werror=c++20-extensions",
		march, "-fPIC", "-fno-finite-loops", "-fstack-clash-protection", "-gline-tables-only", "-gdwarf-4", "-fno-vectorize",
	}
	fastFlags    = []string{"-O2"}
	checkedFlags = []string{
		"-O1", "-DMSL_CHECKED", "-fno-slp-vectorize", "-fsanitize=thread",
		"-mllvm", "-tsan-instrument-atomics=0", "-mllvm", "-tsan-instrument-func-entry-exit=0", "-mllvm", "-tsan-instrument-read-before-write=1",
		"-fsanitize=array-bounds,integer-divide-by-zero,alignment,unreachable,return", "-ftrivial-auto-var-init=pattern",
	}
)

// compiler turns Metal sources into libraries and keeps them in a folder, by a hash of all that they are made from. Any
// number of processes may use one folder.
type compiler struct {
	clang   string
	id      string // of the compiler and the sources of the run time
	cache   string
	include string   // folder with the shim
	empty   string   // folder with headers of the same names and nothing in them
	runtime string   // the run time as a library
	flags   []string // of this emulator's libraries
	last    []string // flags behind all others
}

func newCompiler(o Options) (*compiler, error) {
	cache := o.Cache
	if !cpu.X86.HasAVX2 || !cpu.X86.HasFMA {
		return nil, fmt.Errorf("%w: it needs a processor with AVX2 and FMA", ErrUnavailable)
	}
	clang, err := exec.LookPath("clang-19")
	if err != nil {
		return nil, fmt.Errorf("%w: there is no clang-19 (apt-get install clang-19)", ErrUnavailable)
	}
	if clang, err = filepath.EvalSymlinks(clang); err != nil {
		return nil, err
	}
	info, err := os.Stat(clang)
	if err != nil {
		return nil, err
	}
	if cache == "" {
		cache = os.Getenv("COIL_EMULATOR_CACHE")
	}
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("no folder for compiled Metal sources, set COIL_EMULATOR_CACHE: %w", err)
		}
		cache = filepath.Join(user, "coil-emulator")
	}
	if cache, err = filepath.Abs(cache); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cache, 0o777); err != nil {
		return nil, err
	}
	prune(cache)
	c := &compiler{clang: clang, cache: cache}
	if o.RowMajor {
		c.flags = []string{"-DMSL_ROW_MAJOR"}
	}
	if o.Quick {
		c.last = []string{"-O0"}
	}
	h := []string{clang, fmt.Sprint(info.Size(), info.ModTime().UnixNano())}
	err = fs.WalkDir(sources, ".", func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			var b []byte
			b, err = sources.ReadFile(path)
			h = append(h, path, string(b))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	c.id = hash(h...)
	return c, c.makeRuntime()
}

func hash(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d %s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// makeRuntime writes the headers and compiles the run time, if that has not been done.
func (c *compiler) makeRuntime() error {
	dir := filepath.Join(c.cache, "runtime-"+c.id)
	c.include, c.empty = filepath.Join(dir, "shim"), filepath.Join(dir, "empty")
	c.runtime = dir + ".so"
	unlock, err := lock(dir)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := os.Stat(c.runtime); err == nil {
		touch(dir)
		touch(c.runtime)
		return nil
	}
	tmp, err := os.MkdirTemp(c.cache, "tmp-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	content, err := fs.Sub(sources, "runtime")
	if err != nil {
		return err
	}
	if err := os.CopyFS(filepath.Join(tmp, "dir"), content); err != nil {
		return err
	}
	err = fs.WalkDir(content, "shim", func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		empty := filepath.Join(tmp, "dir", "empty", strings.TrimPrefix(path, "shim"))
		if e.IsDir() {
			return os.Mkdir(empty, 0o777)
		}
		return os.WriteFile(empty, nil, 0o666)
	})
	if err != nil {
		return err
	}
	so := filepath.Join(tmp, "runtime.so")
	if _, msg, err := c.run(tmp, slices.Concat(runtimeFlags, []string{"-Wl,-soname," + filepath.Base(c.runtime), "dir/rt.cpp", "-o", so})...); err != nil {
		return fmt.Errorf("the emulator's run time does not compile: %w\n%s", err, msg)
	}
	if err := os.Rename(filepath.Join(tmp, "dir"), dir); err != nil {
		if _, there := os.Stat(c.include); there != nil { // otherwise, only the library was missing
			return err
		}
	}
	return os.Rename(so, c.runtime)
}

// run runs clang in a folder and returns its output and what it complains of.
func (c *compiler) run(dir string, args ...string) (out, messages string, err error) {
	var o, m strings.Builder
	cmd := exec.Command(c.clang, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &o, &m
	err = cmd.Run()
	return o.String(), m.String(), err
}

// entry is what the cache knows of a source beside the library.
type entry struct {
	Unit  *unit         `json:",omitempty"`
	Error *CompileError `json:",omitempty"`
}

// cached is what the cache has under a key: a library, or the error of its source. ok is false if it has nothing.
func cached(key string) (so string, u *unit, err error, ok bool) {
	so = key + ".so"
	var e entry
	if b, err := os.ReadFile(key + ".json"); err != nil || json.Unmarshal(b, &e) != nil {
		return "", nil, nil, false
	}
	touch(key + ".json")
	if e.Error != nil {
		return "", nil, e.Error, true
	}
	if _, err := os.Stat(so); err != nil {
		return "", nil, nil, false
	}
	touch(so)
	return so, e.Unit, nil, true
}

// lock waits until no other goroutine or process is making the entry of a key.
func lock(key string) (unlock func(), err error) {
	f, err := os.OpenFile(key+".lock", os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	return func() { f.Close() }, nil
}

// library compiles a source, or finds it compiled, and returns the file of the library.
func (c *compiler) library(name, source string, checked bool, functions Functions) (string, *unit, error) {
	key := filepath.Join(c.cache, hash(c.id, name, source, fmt.Sprint(checked, functions, c.flags, c.last)))
	if so, u, err, ok := cached(key); ok {
		return so, u, err
	}
	unlock, err := lock(key)
	if err != nil {
		return "", nil, err
	}
	defer unlock()
	if so, u, err, ok := cached(key); ok {
		return so, u, err
	}
	tmp, err := os.MkdirTemp(c.cache, "tmp-")
	if err != nil {
		return "", nil, err
	}
	defer os.RemoveAll(tmp)
	u, err := c.build(tmp, name, source, checked, functions)
	so, e := key+".so", entry{Unit: u}
	if err != nil && !errors.As(err, &e.Error) {
		return "", nil, err
	}
	b, jerr := json.Marshal(e)
	if jerr == nil {
		jerr = os.WriteFile(filepath.Join(tmp, "json"), b, 0o666)
	}
	if jerr == nil && err == nil {
		jerr = os.Rename(filepath.Join(tmp, "k.so"), so)
	}
	if jerr == nil {
		jerr = os.Rename(filepath.Join(tmp, "json"), key+".json")
	}
	if err == nil {
		err = jerr
	}
	return so, u, err
}

// translate makes k.cl in the folder tmp: the source as C++ for OpenCL.
func (c *compiler) translate(tmp, name, source string, flags []string) (*unit, error) {
	file := strings.TrimSuffix(filepath.Base(name), ".metal") + ".metal"
	if err := os.WriteFile(filepath.Join(tmp, file), []byte(source), 0o666); err != nil {
		return nil, err
	}
	// With empty headers only the macros of the source itself are expanded. -dD keeps their definitions.
	pre, msg, err := c.run(tmp, slices.Concat(flags, []string{"-E", "-dD", "-I" + c.empty, "./" + file})...)
	if err != nil {
		return nil, compileError(name, msg, err)
	}
	u := translate(strings.ReplaceAll(pre, `"./`, `"`), headers(source)...)
	if len(u.diags) > 0 {
		return nil, &CompileError{Name: name, Diags: u.diags}
	}
	return u, os.WriteFile(filepath.Join(tmp, "k.cl"), []byte(u.text), 0o666)
}

// lint checks k.cl, which was made from a source.
func (c *compiler) lint(tmp, name string, flags []string, u *unit) error {
	dump, msg, err := c.run(tmp, slices.Concat(flags, []string{"-w", "-I" + c.include, "-fsyntax-only", "-Xclang", "-ast-dump", "k.cl"})...)
	if err != nil {
		return compileError(name, msg, err)
	}
	if diags := u.lintTree(dump); len(diags) > 0 {
		return &CompileError{Name: name, Diags: diags}
	}
	return nil
}

// build makes k.so in the folder tmp.
func (c *compiler) build(tmp, name, source string, checked bool, functions Functions) (*unit, error) {
	flags := slices.Concat([]string{"-x", "clcpp", fmt.Sprintf("-DMSL_FUNCTIONS=%d", functions)}, c.flags, metalFlags)
	if checked {
		flags = append(flags, checkedFlags...)
	} else {
		flags = append(flags, fastFlags...)
	}
	if strings.Contains(source, "thread_elements") {
		flags = append(flags, "-DMSL_ELEMENTS")
	}
	flags = append(flags, c.last...)
	// Loops stay as they are: the results are the same, and clang has a tenth of the work.
	u, err := c.translate(tmp, name, unrollRE.ReplaceAllString(source, "#define $1"), flags)
	if err != nil {
		return nil, err
	}
	if err := c.lint(tmp, name, flags, u); err != nil {
		return nil, err
	}
	clang := func(args ...string) (string, string, error) { return c.run(tmp, slices.Concat(flags, args)...) }
	var msg string
	if functions == WorstFast {
		msg, err = c.compileDivisions(tmp, clang)
	} else {
		_, msg, err = clang("-I"+c.include, "-c", "k.cl", "-o", "k.o")
	}
	if err != nil {
		return nil, compileError(name, msg, err)
	}
	if _, msg, err := c.run(tmp, "-shared", "-Wl,-Bsymbolic", "-Wl,-z,now", "-Wl,--no-undefined", "-Wl,-rpath,$ORIGIN", "-o", "k.so", "k.o", c.runtime, "-lm"); err != nil {
		return nil, fmt.Errorf("%s does not link: %w\n%s", name, err, msg)
	}
	return u, nil
}

// tensorHeader is the header of tensor operations, which includes metal_tensor.
const tensorHeader = "MetalPerformancePrimitives/MetalPerformancePrimitives.h"

// headers are those of the emulator's that a source needs. The standard library is one file, which every source gets.
func headers(source string) []string {
	h := []string{shimFile}
	if shaders.NeedsMetal4(source) {
		h = append(h, tensorHeader)
	}
	return h
}

// unrollRE is a macro that stands for the pragma that unrolls a loop.
var unrollRE = regexp.MustCompile(`(?m)^#define (\w+) _Pragma\("clang loop unroll\(full\)"\)$`)

var sourceErrorRE = regexp.MustCompile(`(?m)^[^:\n]+:\d+:\d+: (fatal )?error: `)

// compileError is a CompileError if clang found fault with the source, another one if it could not do its work.
func compileError(name, out string, err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 && sourceErrorRE.MatchString(out) {
		return &CompileError{Name: name, Output: strings.TrimSpace(out)}
	}
	return fmt.Errorf("clang fails on %s: %w\n%s", name, err, out)
}

// touch notes that something in the cache is in use.
func touch(path string) {
	if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) > 24*time.Hour {
		now := time.Now()
		os.Chtimes(path, now, now) // otherwise it is compiled again later
	}
}

var cachedRE = regexp.MustCompile(`^([0-9a-f]{32}\.(so|json|lock)|runtime-[0-9a-f]{32}(\.so|\.lock)?|tmp-[0-9]+)$`)

// prune drops, once a day, entries that were not used for two weeks. A failure only costs space.
func prune(cache string) {
	marker := filepath.Join(cache, "pruned")
	if info, err := os.Stat(marker); err == nil && time.Since(info.ModTime()) < 24*time.Hour {
		return
	}
	if os.WriteFile(marker, nil, 0o666) != nil {
		return
	}
	entries, err := os.ReadDir(cache)
	if err != nil {
		return
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && cachedRE.MatchString(e.Name()) && time.Since(info.ModTime()) > 14*24*time.Hour {
			os.RemoveAll(filepath.Join(cache, e.Name()))
		}
	}
}
