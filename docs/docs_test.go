// Package docs has the tests of the documents. What the commands in them print is tested with the commands, in cmd/coil.
package docs

import (
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const root = ".."

// pages reads the documents, by path below the root.
func pages(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for _, pattern := range []string{"*.md", "docs/*.md"} {
		paths, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(paths) == 0 {
			t.Fatal(paths, err)
		}
		for _, p := range paths {
			text, err := os.ReadFile(p)
			if err != nil {
				t.Fatal(err)
			}
			name, err := filepath.Rel(root, p)
			if err != nil {
				t.Fatal(err)
			}
			texts[filepath.ToSlash(name)] = string(text)
		}
	}
	return texts
}

// prose is a page without its blocks of code.
func prose(page string) string {
	return regexp.MustCompile("(?ms)^```.*?^```$").ReplaceAllString(page, "")
}

// anchors are the names by which links reach the headings of a page, as GitHub makes them.
func anchors(page string) map[string]bool {
	names := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(prose(page), -1) {
		name := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		names[strings.ReplaceAll(name, " ", "-")] = true
	}
	return names
}

// broken lists the relative links of the pages that lead nowhere, as "page: link".
func broken(pages map[string]string, exists func(path string) bool) []string {
	var wrong []string
	for name, page := range pages {
		for _, m := range regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(prose(page), -1) {
			link := m[1]
			if strings.HasPrefix(link, "https://") {
				continue
			}
			file, anchor, hasAnchor := strings.Cut(link, "#")
			target := name
			if file != "" {
				target = path.Join(path.Dir(name), file)
			}
			if !exists(target) || hasAnchor && !anchors(pages[target])[anchor] {
				wrong = append(wrong, name+": "+link)
			}
		}
	}
	slices.Sort(wrong)
	return wrong
}

func exists(name string) bool {
	_, err := os.Stat(filepath.Join(root, filepath.FromSlash(name)))
	return err == nil
}

func TestLinks(t *testing.T) {
	all := pages(t)
	for _, link := range broken(all, exists) {
		t.Error(link)
	}
	for name := range all {
		if dir, base := path.Split(name); dir != "" && !strings.Contains(all["README.md"], "("+dir+base) {
			t.Errorf("README.md has no link to %s", name)
		}
	}
	made := map[string]string{"a.md": "# A b, `c`\n[x](#a-b-c) [x](#a) [x](d/b.md#two) [x](d/b.md#three) [x](e.md)\n```\n[x](f)\n# no\n```\n[x](#no)", "d/b.md": "## Two\n[x](../a.md)"}
	want := []string{"a.md: #a", "a.md: #no", "a.md: d/b.md#three", "a.md: e.md"}
	if got := broken(made, func(name string) bool { return made[name] != "" }); !slices.Equal(got, want) {
		t.Errorf("broken links are %q, want %q", got, want)
	}
}

// The README is read in a few minutes.
func TestReadmeIsShort(t *testing.T) {
	if n := len(strings.Fields(prose(pages(t)["README.md"]))); n > 900 {
		t.Errorf("README.md has %d words besides what it shows of a terminal, more than 900: the rest belongs in docs/", n)
	}
}

// source lists the files of the repository with one of the endings.
func source(t *testing.T, endings ...string) []string {
	t.Helper()
	var files []string
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case !d.IsDir() && slices.ContainsFunc(endings, func(e string) bool { return strings.HasSuffix(name, e) }):
			files = append(files, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// Tests and files that the documents name exist. TestNames… names all that begin so.
func TestNames(t *testing.T) {
	tests := map[string]bool{}
	for _, file := range source(t, "_test.go") {
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+|Fuzz\w+|Benchmark\w+)\(`).FindAllStringSubmatch(string(text), -1) {
			tests[m[1]] = true
		}
	}
	files := source(t, ".go", ".metal", ".py", ".toml", ".txt")
	for name, page := range pages(t) {
		for _, m := range regexp.MustCompile(`\b((?:Test|Fuzz|Benchmark)[A-Z]\w+)(…?)`).FindAllStringSubmatch(page, -1) {
			found := tests[m[1]]
			for test := range tests {
				found = found || m[2] != "" && strings.HasPrefix(test, m[1])
			}
			if !found {
				t.Errorf("%s: there is no %s", name, m[0])
			}
		}
		for _, m := range regexp.MustCompile("`([\\w-]+(?:/[\\w-]+)*/[\\w-]+\\.(?:go|metal|py))`").FindAllStringSubmatch(page, -1) {
			if !slices.ContainsFunc(files, func(f string) bool { return f == m[1] }) {
				t.Errorf("%s: there is no file %s", name, m[1])
			}
		}
	}
}

// design.md has every package, and each imports only what stands below it.
func TestPackages(t *testing.T) {
	_, table, ok := strings.Cut(pages(t)["docs/design.md"], "| package | subject |")
	if !ok {
		t.Fatal("there is no table of packages")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	place := map[string]int{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(table, -1) {
		place[m[1]] = len(place) + 1
	}
	packages := map[string]bool{}
	for _, file := range source(t, ".go") {
		dir := path.Dir(file)
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		packages[dir] = true
		if place[dir] == 0 {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, file), nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range f.Imports {
			p, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if below, ok := strings.CutPrefix(p, "coil/"); ok && place[below] != 0 && place[below] <= place[dir] {
				t.Errorf("%s imports %s, which does not stand below it in docs/design.md", file, below)
			}
		}
	}
	for dir := range packages {
		if place[dir] == 0 && !strings.Contains(dir, "testdata") {
			t.Errorf("docs/design.md does not have the package %s", dir)
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(place)) {
		if !packages[dir] && dir != "shaders" {
			t.Errorf("docs/design.md has %s, which is no package", dir)
		}
	}
}
