package typecheck

import (
	"errors"
	"go/constant"
	"go/types"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"coil/thorough"
)

const bridgePath = "coil/metal/bridge"

var load = sync.OnceValues(func() (*Program, error) {
	// Every folder is opened, so that go test does not take a result from its cache that an edit has made old.
	err := filepath.WalkDir("../../..", func(_ string, e fs.DirEntry, err error) error {
		if e != nil && e.Name() == ".git" {
			return filepath.SkipDir
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return Load("coil/...")
})

// program is what the tests read: all Go code of the program for a Mac, with its dependencies.
func program(t *testing.T) *Program {
	t.Helper()
	thorough.Skip(t)
	p, err := load()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestDarwin(t *testing.T) {
	p := program(t)
	for path, pkg := range p.packages {
		if path == "unsafe" || pkg.DepOnly || !strings.HasPrefix(path, "coil") {
			continue
		}
		for _, err := range p.Lint(pkg) {
			t.Error(err)
		}
		if (len(pkg.CgoFiles) > 0) != (path == bridgePath) {
			t.Errorf("%s: files with cgo %v; the bridge has them, and nothing else", path, pkg.CgoFiles)
		}
	}
}

// Faults planted in the bridge are found.
func TestPlantedFaults(t *testing.T) {
	p := program(t)
	bridge := p.packages[bridgePath]
	files := map[string]string{}
	for _, name := range slices.Concat(bridge.GoFiles, bridge.CgoFiles) {
		b, err := os.ReadFile(filepath.Join(bridge.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(b)
	}
	for _, x := range []struct{ file, old, new, want string }{
		{"device.go", "", "", ""},
		{"device.go", "(err error) {", "(err int) {", "cannot use"},
		{"device.go", "o.Release()", "o.Relase()", "o.Relase undefined"},
		{"device.go", `"coil/metal"`, `"coil/mettle"`, "package coil/mettle is not loaded"},
		{"submit.go", `"setBuffer:offset:atIndex:"`, `"setBuffer:ofset:atIndex:"`, "setBuffer:ofset:atIndex:: no such selector"},
		{"submit.go", "typeMTLSize, typeMTLSize", "typeMTLSize", "dispatchThreadgroups:threadsPerThreadgroup: takes 2 arguments, not 1"},
		{"submit.go", "typeMTLSize, typeMTLSize", "typeMTLSize, typeUint", "is void({int64, int64, int64}, {int64, int64, int64}), not void({int64, int64, int64}, int64)"},
		{"submit.go", `"setBufferOffset:atIndex:", typeVoid, typeUint`, `"setBufferOffset:atIndex:", typeVoid, typeID`, "is void(int64, int64), not void(pointer, int64)"},
		{"submit.go", `"GPUStartTime", typeDouble`, `"GPUStartTime", typeUint`, "GPUStartTime is float64(), not int64()"},
		{"submit.go", `"GPUStartTime", typeDouble`, `"GPUStart"+"Time", typeUint`, "GPUStartTime is float64(), not int64()"},
		{"submit.go", `"GPUStartTime"`, `objc.ToGoString(nil)`, "a selector that is not constant"},
		{"device.go", `"hasUnifiedMemory", typeBool`, `"hasUnifiedMemory", typeUint`, "hasUnifiedMemory is uint8(), not int64()"},
		{"device.go", `"setMathMode:", typeVoid, typeInt`, `"setMathMode:", typeVoid, typeBool`, "setMathMode: is void(int64), not void(uint8)"},
		{"device.go", `"setMathFloatingPointFunctions:", typeVoid, typeInt`, `"setMathFloatingPointFunctions:", typeVoid, typeBool`, "setMathFloatingPointFunctions: is void(int64), not void(uint8)"},
		{"device.go", `"setMathFloatingPointFunctions:"`, `"setMathFloatingPointFunction:"`, "setMathFloatingPointFunction:: no such selector"},
		{"device.go", "typeID, typeID, typeID, typeID)", "typeID, []*ffi.Type{}...)", "undefined: ffi"},
		{"message.go", "ffi.TypeUint8 ", "ffi.TypeUint32 ", "hasUnifiedMemory is uint8(), not uint32()"},
		{"message.go", "{ffi.TypeUint64, ffi.TypeUint64, ffi.TypeUint64}", "{ffi.TypeUint64, ffi.TypeUint64}", "not void({int64, int64}, {int64, int64})"},
		{"message.go", "ffi.TypeDouble", "ffi.TypeLongDouble", "undefined: ffi.TypeLongDouble"},
		{"process.go", "p.lowPower = ", `_ = objc.Sel("thermalStat"); p.lowPower = `, "thermalStat: no such selector"},
		{"process.go", "p.lowPower = ", `_ = objc.Call[bool](p.info, p.thermalState.selector); p.lowPower = `, "objc.Call is not safe"},
		{"process.go", "p.lowPower = ", `p.info.Autorelease(); p.lowPower = `, "objc.Object.Autorelease is not safe"},
		{"process.go", "p.lowPower = ", `_ = objc.CreateMallocBlock; p.lowPower = `, "objc.CreateMallocBlock is not safe"},
		{"process.go", `"sync"`, `"sync"; _ "github.com/progrium/darwinkit/macos/metal"`, "macos/metal: its methods go through objc.Call"},
		{"message.go", "ffi.IsStruct(result)", "ffi.IsStruct(result) || ffi.CreateClosure == nil", "ffi.CreateClosure is not safe"},
		{"open.go", "C.MTLCreateSystemDefaultDevice()", "C.objc_msgSend()", "C.objc_msgSend"},
	} {
		changed := maps.Clone(files)
		if !strings.Contains(changed[x.file], x.old) {
			t.Errorf("%s has no %q", x.file, x.old)
			continue
		}
		changed[x.file] = strings.ReplaceAll(changed[x.file], x.old, x.new)
		pkg, err := p.Source(bridgePath, changed)
		if err == nil {
			err = errors.Join(p.Lint(pkg)...)
		}
		switch {
		case x.want == "" && err != nil:
			t.Errorf("as it is: %v", err)
		case x.want != "" && (err == nil || !strings.Contains(err.Error(), x.want)):
			t.Errorf("%q instead of %q: %v, want %q", x.new, x.old, err, x.want)
		}
	}
}

// The bridge's constants are Apple's.
func TestConstants(t *testing.T) {
	p := program(t)
	// What darwinkit does not know, from Apple's documentation; the numbers of MTLMathFloatingPointFunctions (Fast 0, Precise
	// 1) also from Microsoft's bindings, which are made from Apple's headers.
	newer := map[string]int64{"languageVersion31": 3<<16 + 1, "languageVersion40": 4 << 16, "familyMetal4": 5002, "mathModeSafe": 0, "mathFunctionsPrecise": 1}
	known := map[string]string{
		"storageModeShared":      metalPath + ".ResourceStorageModeShared",
		"dispatchTypeConcurrent": metalPath + ".DispatchTypeConcurrent",
		"barrierScopeBuffers":    metalPath + ".BarrierScopeBuffers",
		"statusCompleted":        metalPath + ".CommandBufferStatusCompleted",
		"dataTypeFloat":          metalPath + ".DataTypeFloat",
		"dataTypeInt":            metalPath + ".DataTypeInt",
		"dataTypeUint":           metalPath + ".DataTypeUInt",
		"dataTypeBool":           metalPath + ".DataTypeBool",
		"activityUserInitiated":  foundationPath + ".ActivityUserInitiated",
		"activityNoIdleSleep":    foundationPath + ".ActivityIdleSystemSleepDisabled",
	}
	value := func(path, name string) int64 {
		c, ok := p.packages[path].types.Scope().Lookup(name).(*types.Const)
		if !ok {
			t.Fatalf("%s has no constant %s", path, name)
		}
		v, _ := constant.Int64Val(c.Val())
		return v
	}
	for name, of := range known {
		i := strings.LastIndex(of, ".")
		if got, want := value(bridgePath, name), value(of[:i], of[i+1:]); got != want {
			t.Errorf("%s is %d, not %d", name, got, want)
		}
	}
	for name, want := range newer {
		if got := value(bridgePath, name); got != want {
			t.Errorf("%s is %d, not %d", name, got, want)
		}
	}
	if got, want := value(bridgePath, "familyApple")+7, value(metalPath, "GPUFamilyApple7"); got != want {
		t.Errorf("the family Apple7 is %d, not %d", got, want)
	}
	if failed := value(metalPath, "CommandBufferStatusError"); failed <= value(bridgePath, "statusCompleted") {
		t.Errorf("status %d of a failure is not one of those that have ended", failed)
	}
	for _, status := range []string{"NotEnqueued", "Enqueued", "Committed", "Scheduled"} {
		if value(metalPath, "CommandBufferStatus"+status) >= value(bridgePath, "statusCompleted") {
			t.Errorf("status %s is one of those that have ended", status)
		}
	}
	for name, code := range map[string]string{"CommandTimeout": "CommandBufferErrorTimeout", "CommandPageFault": "CommandBufferErrorPageFault",
		"CommandOutOfMemory": "CommandBufferErrorOutOfMemory", "CommandDeviceRemoved": "CommandBufferErrorDeviceRemoved"} {
		if got, want := value("coil/metal", name), value(metalPath, code); got != want {
			t.Errorf("metal.%s is %d, not %d", name, got, want)
		}
	}
	for i, state := range []string{"Nominal", "Fair", "Serious", "Critical"} {
		first, got := value("coil/metal", "ThermalNominal"), value("coil/metal", "Thermal"+state)
		if want := value(foundationPath, "ProcessInfoThermalState"+state); want != int64(i) || got != first+want {
			t.Errorf("thermal state %s is %d and the bridge's %d", state, want, got-first)
		}
	}
}

// The stand-in has no method that the class it stands in for lacks. As it aborts on what it lacks itself, no test on it
// sends a message to an object of a wrong class.
func TestStandIn(t *testing.T) {
	p := program(t)
	classes := map[string][]string{
		"Device": {"DeviceObject"}, "Library": {"LibraryObject"}, "Function": {"FunctionObject"},
		"Pipeline": {"ComputePipelineStateObject"}, "Buffer": {"BufferObject"}, "Queue": {"CommandQueueObject"},
		"CommandBuffer": {"CommandBufferObject"}, "Encoder": {"ComputeCommandEncoderObject", "CommandEncoderObject"},
		"MTLCompileOptions": {"CompileOptions"}, "MTLFunctionConstantValues": {"FunctionConstantValues"},
		"NSProcessInfo": {"ProcessInfo", "_ProcessInfoClass"}, "NSError": {"Error"}, "NSArray": {"Array"},
	}
	object := []string{"dealloc", "respondsToSelector:", "errorWithCode:text:"} // of every object, and the stand-in's own
	found := map[string]int{}
	for _, file := range []string{"metal.m", "foundation.m"} {
		b, err := os.ReadFile(filepath.Join("../standin/objc", file))
		if err != nil {
			t.Fatal(err)
		}
		class := ""
		for line := range strings.Lines(string(b)) {
			if m := regexp.MustCompile(`^@implementation (\w+)`).FindStringSubmatch(line); m != nil {
				class = m[1]
			}
			m := regexp.MustCompile(`^[-+] \([^)]*\)(.*) \{`).FindStringSubmatch(line)
			if m == nil || classes[class] == nil {
				continue
			}
			selector := m[1]
			if parts := regexp.MustCompile(`(\w+:)\([^)]*\)+\w+`).FindAllStringSubmatch(m[1], -1); parts != nil {
				selector = ""
				for _, part := range parts {
					selector += part[1]
				}
			}
			if slices.Contains(object, selector) {
				continue
			}
			found[class]++
			if newer[selector] == "" && !slices.ContainsFunc(classes[class], func(c string) bool { return p.methods[selector][c] }) {
				t.Errorf("%s: %s has no method %s", file, class, selector)
			}
		}
	}
	for class := range classes {
		if found[class] == 0 && class != "Function" {
			t.Errorf("no method of %s was found", class)
		}
	}
}
