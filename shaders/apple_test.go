package shaders

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// standards are the versions of Metal that a Mac may compile the shaders as: what the bridge asks for, the first with
// bfloat, and the one of macOS 26, which an older toolchain does not know.
var standards = []struct {
	name     string
	optional bool
}{{"metal3.1", false}, {"metal4.0", true}}

// compileWith compiles every shader with Apple's compiler in a folder, and says what it tried.
func compileWith(folder string, say func(format string, args ...any)) error {
	compile := func(standard, name, source string) error {
		file := filepath.Join(folder, name+".metal")
		if err := os.WriteFile(file, []byte(source), 0o666); err != nil {
			return err
		}
		out, err := exec.Command("xcrun", "-sdk", "macosx", "metal", "-std="+standard, "-Werror", "-Wall", "-Wno-unused-function",
			"-Wno-unused-const-variable", "-c", file, "-o", filepath.Join(folder, name+".air")).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s with -std=%s: %w\n%s", name, standard, err, out)
		}
		return nil
	}
	var errs []error
	for _, s := range standards {
		if err := compile(s.name, "empty", "#include <metal_stdlib>\n"); err != nil {
			if s.optional {
				say("this toolchain does not know %s: %v", s.name, err)
				continue
			}
			return err
		}
		for _, name := range Names() {
			say("%s with -std=%s", name, s.name)
			errs = append(errs, compile(s.name, name, Source(name)))
		}
		if s.name == "metal4.0" {
			errs = append(errs, compile(s.name, Tensors, Source(Tensors)))
		}
	}
	return errors.Join(errs...)
}

func TestAppleCompiler(t *testing.T) {
	if runtime.GOOS != "darwin" {
		t.Skip("Apple's compiler runs on macOS")
	}
	if err := exec.Command("xcrun", "metal", "--version").Run(); err != nil && os.Getenv("CI") == "" {
		t.Skip("no Metal toolchain: xcodebuild -downloadComponent MetalToolchain")
	}
	if err := compileWith(t.TempDir(), t.Logf); err != nil {
		t.Error(err)
	}
}

// TestAppleCompilerFails puts a program in xcrun's place: what it refuses fails the test on a Mac, and only the newer
// standard may be unknown.
func TestAppleCompilerFails(t *testing.T) {
	for i, x := range []struct{ refuses, want string }{
		{"nothing", ""},
		{"-std=metal4.0", ""},
		{"-std=metal3.1", "empty with -std=metal3.1"},
		{"/matmul.metal", "matmul with -std=metal3.1"},
		{"-std=metal4.0*norm.metal", "norm with -std=metal4.0"},
		{"-std=metal3.1*tensors.metal", ""},
		{"-std=metal4.0*tensors.metal", "tensors with -std=metal4.0"},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			bin := t.TempDir()
			script := fmt.Sprintf("#!/bin/sh\ncase \"$*\" in *%s*) echo refused; exit 1;; esac\n", x.refuses)
			if err := os.WriteFile(filepath.Join(bin, "xcrun"), []byte(script), 0o777); err != nil {
				t.Fatal(err)
			}
			t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
			tried := 0
			err := compileWith(t.TempDir(), func(string, ...any) { tried++ })
			switch {
			case x.want == "" && err != nil:
				t.Error(err)
			case x.want != "" && (err == nil || !strings.HasPrefix(err.Error(), x.want) || !strings.Contains(err.Error(), "refused")):
				t.Errorf("error %v, want %s", err, x.want)
			case x.want == "" && tried < len(Names())+1:
				t.Errorf("only %d compilations", tried)
			}
		})
	}
}
