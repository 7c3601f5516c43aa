//go:build linux && amd64 && !standin

package standin

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"coil/metal/mutation"
	"coil/thorough"
)

// all is whether every test must run.
var all = os.Getenv("COIL_REQUIRE") == "all"

// build compiles the stand-in's classes into a library and returns the environment to build Go with it. The library's
// place depends on its sources alone, so that Go's build cache is of use.
func build(t *testing.T) []string {
	t.Helper()
	objc, err := filepath.Abs("objc")
	if err != nil {
		t.Fatal(err)
	}
	sources := sha256.New()
	err = filepath.WalkDir(objc, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		fmt.Fprintf(sources, "%s %d\n%s", path, len(b), b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	hash := fmt.Sprintf("%x", sources.Sum(nil)[:8])
	folder := filepath.Join(cache, "coil-standin", hash)
	if err := os.MkdirAll(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	compiler, library := filepath.Join(objc, "ccwrap"), filepath.Join(folder, "libstandin.so")
	if _, err := os.Stat(library); err != nil {
		half := fmt.Sprintf("%s.%d", library, os.Getpid())
		defer os.Remove(half)
		cc := exec.Command(compiler, "-O1", "-g", "-fPIC", "-shared", "-Wall", "-Werror", "-o", half, "foundation.m", "metal.m", "-lobjc", "-lpthread")
		cc.Dir = objc
		if out, err := cc.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", cc, err, out)
		}
		if err := os.Rename(half, library); err != nil {
			t.Fatal(err)
		}
	}
	return append(os.Environ(), "CGO_ENABLED=1", "CC="+compiler,
		"CGO_CFLAGS=-g -O2 -DSTANDIN="+hash, // Go's build cache does not see headers outside a package
		"CGO_LDFLAGS=-L"+folder+" -Wl,-rpath,"+folder+" -lstandin -lobjc")
}

// TestBridge runs the tests of package bridge against the stand-in.
func TestBridge(t *testing.T) {
	if missing := missing(); missing != "" {
		if all {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	thorough.Skip(t) // a build with cgo, and a test of another package
	watch(t)
	env := build(t)
	run := func(args ...string) func(t *testing.T) {
		return func(t *testing.T) {
			command := exec.Command("go", append(args, "coil/metal/bridge", "coil/metal/bridge/standin")...)
			command.Env = env
			out, err := command.CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %v\n%s", command, err, out)
			}
			// Of the tests that pass, only what they say.
			t.Logf("%s", regexp.MustCompile(`(?m)^(=== .*|\s*--- PASS.*|PASS|(goos|goarch|pkg|cpu): .*|Benchmark\S*)\n`).ReplaceAllString(string(out), ""))
		}
	}
	t.Run("vet", run("vet", "-tags=standin"))
	test := []string{"test", "-tags=standin", "-count=1", "-v", "-bench=.", "-benchtime=100ms"}
	if testing.Short() {
		test = append(test, "-short")
	}
	t.Run("test", run(test...))
	t.Run("race", func(t *testing.T) {
		if !all {
			t.Skip("only with COIL_REQUIRE=all")
		}
		run("test", "-tags=standin", "-count=1", "-race", "-short")(t)
	})
}

// TestMutants puts faults into package bridge and wants them noticed, if COIL_MUTANTS is "host" or matches the name of a file.
func TestMutants(t *testing.T) {
	only := os.Getenv("COIL_MUTANTS")
	if only == "host" {
		only = ".*"
	}
	if only == "" || only == "all" {
		t.Skip("set COIL_MUTANTS to host to try mutants of the bridge")
	}
	if missing := missing(); missing != "" {
		t.Skip(missing)
	}
	watch(t)
	mutation.Test(t, mutation.Package{Dir: "..", Path: "coil/metal/bridge", Env: build(t), Args: []string{"-tags=standin"}},
		"../../testdata/bridge_mutants.txt", regexp.MustCompile(only))
}

// missing says what the machine lacks to build the stand-in.
func missing() string {
	var lacks []string
	if _, err := exec.LookPath("clang-19"); err != nil {
		lacks = append(lacks, "clang-19")
	}
	for _, x := range []struct{ file, pack string }{
		{"/usr/lib/gcc/x86_64-linux-gnu/*/include/objc/objc.h", "libobjc-12-dev"},
		{"/usr/include/*/ffi.h", "libffi-dev"},
	} {
		if found, _ := filepath.Glob(x.file); found == nil {
			lacks = append(lacks, x.pack)
		}
	}
	if lacks == nil {
		return ""
	}
	return "the bridge to Metal needs a stand-in to run here: apt-get install " + strings.Join(lacks, " ")
}

// watch opens every folder of the module, so that go test does not take a result from its cache that an edit has made old.
func watch(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir("../../..", func(path string, e fs.DirEntry, err error) error {
		if e != nil && e.Name() == ".git" {
			return filepath.SkipDir
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
