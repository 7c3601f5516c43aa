// Package typecheck checks, on any machine and without Apple's headers, the code for Macs that no compiler here sees: types,
// and that every Objective-C message has the selector and the arguments that darwinkit's generated code has for it.
package typecheck

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const (
	darwinkit      = "github.com/progrium/darwinkit/"
	objcPath       = darwinkit + "objc"
	ffiPath        = darwinkit + "objc/ffi"
	foundationPath = darwinkit + "macos/foundation"
	metalPath      = darwinkit + "macos/metal"
)

// Program is a set of packages with all they import.
type Program struct {
	fset     *token.FileSet
	packages map[string]*Package

	// of each selector, the signatures that darwinkit has for it and the types that have such a method
	signatures map[string]map[string]bool
	methods    map[string]map[string]bool
}

// Package is a package as go list describes it.
type Package struct {
	ImportPath, Dir   string
	DepOnly, Standard bool
	GoFiles, CgoFiles []string
	ImportMap         map[string]string
	Error             *struct{ Err string }

	types *types.Package
	info  *types.Info
	files []*ast.File
}

// Load type-checks packages for darwin/arm64 with cgo, and reads what darwinkit knows of Metal and Foundation.
func Load(patterns ...string) (*Program, error) {
	args := append([]string{"list", "-e", "-deps", "-json=ImportPath,Dir,DepOnly,Standard,GoFiles,CgoFiles,ImportMap,Error"}, patterns...)
	list := exec.Command("go", append(args, foundationPath, metalPath)...)
	list.Env = append(os.Environ(), "GOOS=darwin", "GOARCH=arm64", "CGO_ENABLED=1", "GOFLAGS=")
	var stderr bytes.Buffer
	list.Stderr = &stderr
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w\n%s", err, &stderr)
	}
	p := &Program{fset: token.NewFileSet(), packages: map[string]*Package{"unsafe": {types: types.Unsafe}},
		signatures: map[string]map[string]bool{}, methods: map[string]map[string]bool{}}
	var errs []error
	for decoder := json.NewDecoder(bytes.NewReader(out)); decoder.More(); {
		pkg := new(Package)
		if err := decoder.Decode(pkg); err != nil {
			return nil, err
		}
		if pkg.ImportPath == "unsafe" {
			continue
		}
		p.packages[pkg.ImportPath] = pkg
		if pkg.Error != nil {
			errs = append(errs, fmt.Errorf("%s: %s", pkg.ImportPath, pkg.Error.Err))
		}
		for _, name := range slices.Concat(pkg.GoFiles, pkg.CgoFiles) {
			f, err := parser.ParseFile(p.fset, filepath.Join(pkg.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				errs = append(errs, err)
			}
			pkg.files = append(pkg.files, f)
		}
		errs = append(errs, p.check(pkg)...)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	p.learn(p.packages[foundationPath])
	p.learn(p.packages[metalPath])
	return p, nil
}

// generated reports whether a package's function bodies are what Load learns from.
func generated(path string) bool { return path == foundationPath || path == metalPath }

// check type-checks a package; of what others import, the declarations.
func (p *Program) check(pkg *Package) (errs []error) {
	pkg.info = &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{}}
	config := types.Config{
		FakeImportC:      true,
		IgnoreFuncBodies: pkg.Standard || pkg.DepOnly && !generated(pkg.ImportPath),
		Sizes:            types.SizesFor("gc", "arm64"),
		Error:            func(err error) { errs = append(errs, err) },
		Importer: importer(func(path string) (*types.Package, error) {
			if to := pkg.ImportMap[path]; to != "" {
				path = to
			}
			if q := p.packages[path]; q != nil && q.types != nil {
				return q.types, nil
			}
			return nil, fmt.Errorf("package %s is not loaded", path)
		}),
	}
	pkg.types, _ = config.Check(pkg.ImportPath, p.fset, pkg.files, pkg.info) // the error is the first of errs
	return errs
}

type importer func(string) (*types.Package, error)

func (f importer) Import(path string) (*types.Package, error) { return f(path) }

// Source type-checks files that are given as text: a package that imports only loaded ones.
func (p *Program) Source(path string, files map[string]string) (*Package, error) {
	pkg := &Package{ImportPath: path}
	for name, text := range files {
		f, err := parser.ParseFile(p.fset, name, text, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		pkg.files = append(pkg.files, f)
	}
	return pkg, errors.Join(p.check(pkg)...)
}

// learn reads the messages that a generated package sends.
func (p *Program) learn(pkg *Package) {
	handle := p.packages[objcPath].types.Scope().Lookup("Handle").Type().Underlying().(*types.Interface)
	for _, f := range pkg.files {
		for _, d := range f.Decls {
			function, ok := d.(*ast.FuncDecl)
			if !ok || function.Recv == nil {
				continue
			}
			receiver := types.ExprString(function.Recv.List[0].Type)
			ast.Inspect(function, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				generic, ok := call.Fun.(*ast.IndexExpr)
				if !ok || pkg.from(generic.X) != objcPath+".Call" {
					return true
				}
				sel, ok := call.Args[1].(*ast.CallExpr)
				if !ok || pkg.from(sel.Fun) != objcPath+".Sel" {
					return true
				}
				selector, ok := pkg.text(sel.Args[0])
				if !ok {
					return true
				}
				var arguments []string
				for _, a := range call.Args[2:] {
					arguments = append(arguments, passed(pkg.info.Types[a].Type, handle))
				}
				add(p.signatures, selector, signature(passed(pkg.info.Types[generic.Index].Type, handle), arguments))
				add(p.methods, selector, receiver)
				return true
			})
		}
	}
}

func add(m map[string]map[string]bool, key, value string) {
	if m[key] == nil {
		m[key] = map[string]bool{}
	}
	m[key][value] = true
}

func signature(result string, arguments []string) string {
	return result + "(" + strings.Join(arguments, ", ") + ")"
}

// from is what an expression names, as "path.Name", if it is of another package.
func (pkg *Package) from(e ast.Expr) string {
	if s, ok := e.(*ast.SelectorExpr); ok {
		if o := pkg.info.Uses[s.Sel]; o != nil && o.Pkg() != nil && o.Parent() == o.Pkg().Scope() {
			return o.Pkg().Path() + "." + o.Name()
		}
	}
	return ""
}

// text is a constant string.
func (pkg *Package) text(e ast.Expr) (string, bool) {
	v := pkg.info.Types[e].Value
	if v == nil || v.Kind() != constant.String {
		return "", false
	}
	return constant.StringVal(v), true
}

// passed says how darwinkit hands a Go value to libffi.
func passed(t types.Type, handle *types.Interface) string {
	if types.Implements(t, handle) {
		return "pointer"
	}
	if named, ok := t.(*types.Named); ok && named.Obj().Pkg() != nil && named.Obj().Pkg().Path() == objcPath && named.Obj().Name() == "Void" {
		return "void"
	}
	switch u := t.Underlying().(type) {
	case *types.Basic:
		switch u.Kind() {
		case types.Bool, types.Uint8:
			return "uint8"
		case types.Int, types.Uint, types.Int64, types.Uint64, types.Uintptr, types.UntypedInt:
			return "int64"
		case types.String, types.UntypedString, types.UnsafePointer, types.UntypedNil:
			return "pointer"
		}
		return u.Name()
	case *types.Struct:
		var fields []string
		for f := range u.Fields() {
			fields = append(fields, passed(f.Type(), handle))
		}
		return "{" + strings.Join(fields, ", ") + "}"
	}
	return "pointer"
}

// ffiTypes are libffi's types under the same names.
var ffiTypes = map[string]string{
	"TypeVoid": "void", "TypePointer": "pointer", "TypeUint64": "int64", "TypeSint64": "int64", "TypeUint8": "uint8",
	"TypeUint32": "uint32", "TypeSint32": "int32", "TypeFloat": "float32", "TypeDouble": "float64",
}

// newer are signatures of selectors that darwinkit does not know. Those of MTLCompileOptions came with macOS 15: Apple
// documents the properties mathMode and mathFloatingPointFunctions, whose types are enumerations of NSInteger.
var newer = map[string]string{
	"setMathMode:":                   "void(int64)",
	"setMathFloatingPointFunctions:": "void(int64)",
}

// allowed are the names of package objc that work with Go's garbage collector; a method is Type.Method. Above all Call is
// not among them.
var allowed = map[string]bool{
	"Sel": true, "GetClass": true, "ObjectFrom": true, "ToNSString": true, "ToGoString": true, "WithAutoreleasePool": true,
	"Object": true, "Object.Ptr": true, "Object.IsNil": true, "Object.Class": true, "Object.RespondsToSelector": true,
	"Object.Retain": true, "Object.Release": true,
	"Class": true, "Class.Ptr": true, "Class.MethodImplementation": true,
	"Selector": true, "Selector.Ptr": true, "Selector.Name": true, "IMP.Ptr": true,
}

var allowedFFI = map[string]bool{"PrepCIF": true, "Call": true, "MakeStructType": true, "IsStruct": true, "OK": true, "CIF": true, "Type": true}

// Lint finds faults of a package in the use of darwinkit and C.
func (p *Program) Lint(pkg *Package) (errs []error) {
	complain := func(at ast.Node, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %s", p.fset.Position(at.Pos()), fmt.Sprintf(format, args...)))
	}
	initial := map[types.Object]ast.Expr{} // values of package variables
	for _, f := range pkg.files {
		for _, d := range f.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.VAR {
				for _, s := range g.Specs {
					s := s.(*ast.ValueSpec)
					for i, name := range s.Names {
						if len(s.Values) == len(s.Names) {
							initial[pkg.info.Defs[name]] = s.Values[i]
						}
					}
				}
			}
		}
	}
	for _, f := range pkg.files {
		for _, spec := range f.Imports {
			path := strings.Trim(spec.Path.Value, `"`)
			if strings.HasPrefix(path, darwinkit) && path != objcPath && path != ffiPath {
				complain(spec, "%s: its methods go through objc.Call", path)
			}
		}
		var function string // that n is in
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				function = n.Name.Name
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok {
					if name, ok := pkg.info.Uses[x].(*types.PkgName); ok && name.Imported().Path() == "C" &&
						n.Sel.Name != "MTLCreateSystemDefaultDevice" && n.Sel.Name != "MTLCopyAllDevices" {
						complain(n, "C.%s", n.Sel.Name)
					}
				}
			case *ast.Ident:
				if o := pkg.info.Uses[n]; o != nil && o.Pkg() != nil {
					name := qualified(o)
					switch path := o.Pkg().Path(); {
					case path == objcPath && !allowed[name]:
						complain(n, "objc.%s is not safe with Go's garbage collector", name)
					case path == ffiPath && !allowedFFI[name] && ffiTypes[name] == "":
						complain(n, "ffi.%s is not safe with Go's garbage collector", name)
					}
				}
			case *ast.CallExpr:
				if pkg.from(n.Fun) == objcPath+".Sel" && function != "newMessage" {
					if s, ok := pkg.text(n.Args[0]); !ok {
						complain(n, "a selector that is not constant")
					} else if p.signatures[s] == nil && newer[s] == "" {
						complain(n, "%s: no such selector", s)
					}
				}
				if id, ok := n.Fun.(*ast.Ident); ok && id.Name == "newMessage" {
					if err := p.message(pkg, n, initial); err != nil {
						complain(n, "%v", err)
					}
				}
			}
			return true
		})
	}
	return errs
}

// qualified is the name of a package's object, with the type if it is a method.
func qualified(o types.Object) string {
	if f, ok := o.(*types.Func); ok {
		if r := f.Signature().Recv(); r != nil {
			t := r.Type()
			if ptr, ok := t.(*types.Pointer); ok {
				t = ptr.Elem()
			}
			if named, ok := t.(*types.Named); ok {
				return named.Obj().Name() + "." + o.Name()
			}
		}
	}
	return o.Name()
}

// message checks newMessage(selector, result, arguments...).
func (p *Program) message(pkg *Package, call *ast.CallExpr, initial map[types.Object]ast.Expr) error {
	selector, ok := pkg.text(call.Args[0])
	if !ok {
		return errors.New("a selector that is not constant")
	}
	if call.Ellipsis.IsValid() {
		return fmt.Errorf("%s: arguments in a slice", selector)
	}
	var list []string
	for _, a := range call.Args[1:] {
		s := pkg.ffiType(a, initial)
		if s == "" {
			return fmt.Errorf("%s: %s is not a type of libffi that is known here", selector, types.ExprString(a))
		}
		list = append(list, s)
	}
	if n := strings.Count(selector, ":"); n != len(list)-1 {
		return fmt.Errorf("%s takes %d arguments, not %d", selector, n, len(list)-1)
	}
	got := signature(list[0], list[1:])
	if want := newer[selector]; want != "" {
		if got != want {
			return fmt.Errorf("%s is %s, not %s", selector, want, got)
		}
		return nil
	}
	known := p.signatures[selector]
	if known == nil {
		return fmt.Errorf("%s: no such selector", selector)
	}
	if !known[got] {
		var want []string
		for s := range known {
			want = append(want, s)
		}
		slices.Sort(want)
		return fmt.Errorf("%s is %s, not %s", selector, strings.Join(want, " or "), got)
	}
	return nil
}

// ffiType is how libffi passes what has the type that e names, or "".
func (pkg *Package) ffiType(e ast.Expr, initial map[types.Object]ast.Expr) string {
	switch e := e.(type) {
	case *ast.SelectorExpr:
		if name, ok := strings.CutPrefix(pkg.from(e), ffiPath+"."); ok {
			return ffiTypes[name]
		}
	case *ast.Ident:
		if v := initial[pkg.info.Uses[e]]; v != nil {
			return pkg.ffiType(v, initial)
		}
	case *ast.CallExpr:
		if pkg.from(e.Fun) != ffiPath+".MakeStructType" {
			break
		}
		if list, ok := e.Args[0].(*ast.CompositeLit); ok {
			var fields []string
			for _, f := range list.Elts {
				fields = append(fields, pkg.ffiType(f, initial))
			}
			return "{" + strings.Join(fields, ", ") + "}"
		}
	}
	return ""
}
