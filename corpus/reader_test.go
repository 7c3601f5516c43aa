package corpus

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// read returns the documents of a file with these bytes.
func read(t *testing.T, name string, content []byte, o Options) ([]string, Skipped, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o666); err != nil {
		t.Fatal(err)
	}
	return readAt(t, path, o)
}

func readAt(t *testing.T, path string, o Options) (texts []string, skipped Skipped, err error) {
	t.Helper()
	found, err := Find([]string{path})
	if err != nil {
		t.Fatal(err)
	}
	skipped, err = found[0].Read(o, func(text []byte) error {
		texts = append(texts, string(text))
		return nil
	})
	return texts, skipped, err
}

// Files that pyarrow, Python, gzip and zstd wrote have the documents that they were given.
func TestFixtures(t *testing.T) {
	b, err := os.ReadFile("testdata/documents.json")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ascii.jsonl", "utf-8.jsonl", "utf-8.jsonl.gz", "utf-8.jsonl.zst", "two.jsonl.gz",
		"snappy.parquet", "zstd-v2.parquet", "brotli-delta.parquet", "gzip-large.parquet"} {
		got, _, err := readAt(t, "testdata/"+name, Options{Field: "story"})
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// An error in a file is reported with its position. If errors are skipped, they are counted.
func TestGarbled(t *testing.T) {
	fixture := func(name string) []byte {
		b, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	flip := func(b []byte, at int) []byte {
		b = slices.Clone(b)
		b[at] ^= 0x55
		return b
	}
	zst, gz, parquet := fixture("utf-8.jsonl.zst"), fixture("utf-8.jsonl.gz"), fixture("snappy.parquet")
	for _, c := range []struct {
		name    string
		content []byte
		field   string
		want    string // in the error, after the path
		rest    int    // documents that remain when bad ones are skipped
	}{
		{"a.jsonl", []byte("{\"text\":\"a\"}\n\n{\"text\":\"b\"\n{\"text\":\"c\"}"), "text", ":3: the line is not JSON: there is a mistake at column 12", 2},
		{"a.jsonl", []byte("[1]\n{\"text\":\"c\"}"), "text", `:1: the line is JSON, but not an object: want { … } with a field "text"`, 1},
		{"a.jsonl", []byte("null\n"), "text", `:1: the line is JSON, but not an object`, 0},
		{"a.jsonl", []byte("{\"text\":\"a\"}\n{\"txt\":\"a\",\"id\":1}\n"), "text", `:2: there is no field "text": there are id, txt; set task.text.field`, 1},
		{"a.jsonl", []byte("{}"), "text", `:1: there is no field "text": the object is empty`, 0},
		{"a.jsonl", []byte("{\"text\":7}"), "text", `:1: the field "text" is not a text`, 0},
		{"a.jsonl", []byte("{\"text\":null}"), "text", `:1: the field "text" is not a text`, 0},
		{"a.jsonl", []byte("{\"text\":\"a\xff\"}"), "text", `:1: the byte 0xff at column 11 is not UTF-8`, 0},
		{"a.jsonl", []byte("{\"text\":\"a\\ud800\"}"), "text", `:1: the field "text" has half of a surrogate pair`, 0},
		{"a.txt", []byte("a\nb\xc3\n"), "text", `:2: the byte 0xc3 is not UTF-8; convert the file to UTF-8`, 0},
		{"a.txt.gz", []byte("text"), "text", `:1: the archive has no valid header: the file is damaged, or not compressed as its name says`, 0},
		{"a.txt.zst", []byte("text"), "text", `:1: the archive`, 0},
		{"a.jsonl.gz", gz[:len(gz)-1], "story", `the archive ends in the middle: it was cut off; fetch it again`, 10},
		{"a.jsonl.gz", flip(gz, len(gz)-1), "story", `the archive is damaged from here on; fetch it again`, 10},
		{"a.jsonl.zst", zst[:len(zst)-1], "story", `the archive ends in the middle`, 10},
		{"a.jsonl.zst", flip(zst, len(zst)-1), "story", `the archive is damaged from here on`, 10},
		{"a.parquet", parquet[:len(parquet)-1], "story", `: row 1: the parquet file is damaged, or not one; fetch it again`, 0},
		{"a.parquet", flip(parquet, len(parquet)-6), "story", `: row 1: the parquet file is damaged`, 0},
		{"a.parquet", []byte("text"), "story", `: row 1: the parquet file is damaged`, 0},
	} {
		_, _, err := read(t, c.name, c.content, Options{Field: c.field})
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasSuffix(err.Error(), "; task.text.skip_bad = true leaves such documents out") || !strings.Contains(err.Error(), c.name) {
			t.Errorf("%s %.40q: %v, want %s", c.name, c.content, err, c.want)
		}
		got, skipped, err := read(t, c.name, c.content, Options{Field: c.field, SkipBad: true})
		if err != nil || len(got) != c.rest || skipped.Count != 1 || !strings.Contains(skipped.First, c.want) {
			t.Errorf("%s %.40q: %d documents, skipped %+v, %v; want %d", c.name, c.content, len(got), skipped, err, c.rest)
		}
	}
	// A wrong column is a mistake of the configuration, not of a document.
	for field, want := range map[string]string{
		"text":  `there is no column "text": there are id, story, words; set task.text.field`,
		"id":    `the column "id" is not of texts`,
		"words": `the column "words" is not of texts`,
	} {
		for _, skip := range []bool{false, true} {
			if _, _, err := read(t, "a.parquet", parquet, Options{Field: field, SkipBad: skip}); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("column %s: %v", field, err)
			}
		}
	}
}

// Plain text is cut without loss, at ends of paragraphs if it has any.
func TestPieces(t *testing.T) {
	paragraph := strings.Repeat("Ein Satz über nichts. ", 40) + "\n"
	for name, text := range map[string]string{
		"paragraphs": strings.Repeat(paragraph+"\n", 300), "lines": strings.Repeat(paragraph, 400), "one line": strings.Repeat("ü€😀", 60_000),
		"short": "a", "with a mark": "\ufeffa\nb\n",
	} {
		got, _, err := read(t, "a.txt", []byte(text), Options{})
		if err != nil || strings.Join(got, "") != strings.TrimPrefix(text, "\ufeff") {
			t.Fatalf("%s: the %d documents are not the text, %v", name, len(got), err)
		}
		for i, d := range got[:len(got)-1] {
			if size, least := len(d), map[string]int{"paragraphs": cutAt, "lines": cutLine, "one line": cutAny - 3}[name]; size < least || size > least+200_000 {
				t.Errorf("%s: document %d has %d bytes", name, i, size)
			}
			if name == "paragraphs" && !strings.HasSuffix(d, "\n\n") || !utf8.ValidString(d) {
				t.Errorf("%s: document %d ends with %q", name, i, d[len(d)-9:])
			}
		}
		if name == "paragraphs" && len(got) < 5 {
			t.Errorf("%d documents", len(got))
		}
	}
}

func TestSeparator(t *testing.T) {
	const text = "one\nline\n<|end|>\n\ntwo<|end|> three <|end|><|end|>\n\n<|end|>\nfour\n"
	want := []string{"one\nline", "two", " three ", "four"}
	got, _, err := read(t, "a.txt", []byte(text), Options{Separator: "<|end|>"})
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v", got, err)
	}
	_, _, err = read(t, "a.txt", []byte("a\n<|end|>\nb\nc\xff"), Options{Separator: "<|end|>"})
	if err == nil || !strings.Contains(err.Error(), "a.txt:4: the byte 0xff") {
		t.Error(err)
	}
}

// repeated is a text of n bytes without end of line.
type repeated struct{ n int64 }

func (r *repeated) Read(b []byte) (int, error) {
	if r.n == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(b)), r.n)
	for i := range b[:n] {
		b[i] = 'a'
	}
	r.n -= n
	return int(n), nil
}

// A line of a gigabyte, as an archive of a megabyte may have, takes no more memory than a document may have.
func TestLongLine(t *testing.T) {
	const most, line = 1 << 20, 1 << 26
	for _, c := range []struct {
		layout    layout
		separator string
		want      string
	}{{jsonLines, "", "a.txt:1: the line is longer than 1 MiB"}, {plain, "#", `a.txt:1: a document is longer than 1 MiB; is the separator "#" right?`}} {
		for _, skip := range []bool{false, true} {
			r := &reader{Source: Source{Path: "a.txt", layout: c.layout}, Options: Options{Field: "text", Separator: c.separator, SkipBad: skip}, longest: most}
			rest := 0
			r.yield = func([]byte) error { rest++; return nil }
			last := "\n{\"text\":\"b\"}\n"
			if c.layout == plain {
				last = "#b"
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := r.documents(io.MultiReader(&repeated{line}, strings.NewReader(last)))
			runtime.ReadMemStats(&after)
			if used := after.TotalAlloc - before.TotalAlloc; used > 8*most {
				t.Errorf("%q: %d bytes allocated", c.separator, used)
			}
			if skip && (err != nil || r.skipped.Count != 1 || rest != 1) {
				t.Errorf("skipped %+v, %d documents, %v", r.skipped, rest, err)
			}
			if !skip && (err == nil || !strings.HasPrefix(err.Error(), c.want)) {
				t.Errorf("%v, want %s", err, c.want)
			}
		}
	}
}

// An archive that unpacks to far more than its size is read piece by piece.
func TestBomb(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	const size = 1 << 25
	if _, err := io.Copy(z, &repeated{size}); err != nil {
		t.Fatal(err)
	}
	z.Close()
	r := &reader{Source: Source{Path: "a.txt.gz", packed: gzipped}, longest: longest}
	total := 0
	r.yield = func(text []byte) error { total += len(text); return nil }
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := r.unpacked(&packed)
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; err != nil || total != size || used > 4<<20 {
		t.Errorf("%d bytes of %d read, %d allocated, %v", total, size, used, err)
	}
}

// A program without package corpus/parquet says so.
func TestNoParquet(t *testing.T) {
	defer RegisterParquet(parquet)
	RegisterParquet(nil)
	_, _, err := readAt(t, "testdata/snappy.parquet", Options{Field: "story", SkipBad: true})
	if err == nil || !strings.Contains(err.Error(), "snappy.parquet: this program can't read parquet files: build it with the package coil/corpus/parquet") {
		t.Error(err)
	}
}

// What the reader of documents returns ends reading, and is returned as it is.
func TestReadStops(t *testing.T) {
	stop := errors.New("stop")
	for _, name := range []string{"utf-8.jsonl", "snappy.parquet", "documents.json"} {
		found, err := Find([]string{"testdata/" + name})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		_, err = found[0].Read(Options{Field: "story", SkipBad: true}, func([]byte) error {
			n++
			return stop
		})
		if err != stop || n != 1 {
			t.Errorf("%s: %v after %d documents", name, err, n)
		}
	}
}

func TestFind(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"b.txt", "a.jsonl.gz", "sub/c.parquet", "sub/.hidden.txt", ".git/d.txt", "e.bin", "f.parquet.gz"} {
		path := filepath.Join(folder, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, []byte("x"), 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	empty := filepath.Join(folder, "empty")
	if err := os.Mkdir(empty, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		patterns []string
		want     string
	}{
		{[]string{""}, "a.jsonl.gz b.txt sub/c.parquet"},
		{[]string{"*.txt", "b.txt", "a*"}, "b.txt a.jsonl.gz"},
		{[]string{"e.bin"}, "e.bin"},
		{[]string{"sub/*"}, "sub/.hidden.txt sub/c.parquet"},
		{[]string{"empty"}, "error: the folder " + empty + " has no files of text: names that end in .txt"},
		{[]string{"g.txt"}, "error: there is no file or folder " + folder + "/g.txt: task.text.files lists the files, folders and patterns of the corpus"},
		{[]string{"*.csv"}, "error: " + folder + "/*.csv names no file"},
		{[]string{"[a"}, "error: " + folder + "/[a is not a pattern"},
		{[]string{"f.parquet.gz"}, "error: " + folder + "/f.parquet.gz: parquet has its own compression"},
	} {
		var patterns, got []string
		for _, p := range c.patterns {
			patterns = append(patterns, strings.TrimSuffix(folder+"/"+p, "/"))
		}
		found, err := Find(patterns)
		if err != nil {
			got = append(got, "error: "+err.Error())
		}
		for _, s := range found {
			relative, err := filepath.Rel(folder, s.Path)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, relative)
		}
		if s := strings.Join(got, " "); !strings.HasPrefix(s, c.want) || err == nil && s != c.want {
			t.Errorf("%v: %s, want %s", c.patterns, s, c.want)
		}
	}
}

// FuzzRead: no file crashes a reader, or makes it yield what is no text; and what is skipped is an error if it isn't to be.
func FuzzRead(f *testing.F) {
	for i, name := range []string{"ascii.jsonl", "utf-8.jsonl.gz", "utf-8.jsonl.zst", "snappy.parquet", "zstd-v2.parquet", "brotli-delta.parquet"} {
		b, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, byte(i), "")
		f.Add(b[:len(b)/2], byte(i), "\n")
	}
	kinds := []struct {
		layout layout
		packed packing
	}{{jsonLines, unpacked}, {jsonLines, gzipped}, {jsonLines, zstandard}, {parquetFile, unpacked}, {parquetFile, unpacked}, {parquetFile, unpacked}, {plain, unpacked}, {plain, gzipped}}
	f.Fuzz(func(t *testing.T, b []byte, kind byte, separator string) {
		k := kinds[int(kind)%len(kinds)]
		read := func(skip bool) (texts []string, skipped int64, err error) {
			r := &reader{Source: Source{Path: "a", Size: int64(len(b)), layout: k.layout, packed: k.packed}, Options: Options{Field: "story", Separator: separator, SkipBad: skip}, longest: 1 << 16}
			r.yield = func(text []byte) error {
				if !utf8.Valid(text) || len(bytes.TrimSpace(text)) == 0 {
					return fmt.Errorf("yielded %q", text)
				}
				texts = append(texts, string(text))
				return nil
			}
			if k.layout == parquetFile {
				err = r.table(bytes.NewReader(b))
			} else {
				err = r.unpacked(bytes.NewReader(b))
			}
			return texts, r.skipped.Count, err
		}
		texts, _, err := read(false)
		lenient, skipped, errSkip := read(true)
		if errSkip != nil && !strings.Contains(errSkip.Error(), "task.text.field") {
			t.Fatal(errSkip)
		}
		if (err != nil) != (skipped > 0 || errSkip != nil) {
			t.Fatalf("%v, and with skipping %v, %d skipped", err, errSkip, skipped)
		}
		if len(lenient) < len(texts) && errSkip == nil || err == nil && !slices.Equal(texts, lenient) {
			t.Fatalf("%q, and with skipping %q", texts, lenient)
		}
	})
}
