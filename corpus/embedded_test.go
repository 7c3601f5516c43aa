package corpus

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"coil/golden"
	"coil/tokenizer"

	"github.com/klauspost/compress/zstd"
)

type named struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// held are the documents of the embedded corpus that are held out.
var held = map[string]bool{"Opticks, book 2, part 4": true, "Tom Sawyer, chapter 9": true, "Tom Sawyer, chapter 18": true,
	"Tom Sawyer, chapter 27": true, "Tom Sawyer, chapter 33": true, "Sherlock Holmes, adventure 8": true}

// module is the folder of a module in the cache.
func module(t *testing.T, path string) string {
	t.Helper()
	b, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", path).Output()
	if err != nil {
		t.Fatalf("go list -m %s: %v", path, err)
	}
	return strings.TrimSpace(string(b))
}

// chapters cuts a book at its headings. What stands before the first is the document named front, if that is not empty.
func chapters(book, heading, front string, name func(i int) string) []named {
	var all []named
	at := regexp.MustCompile(heading).FindAllStringIndex(book, -1)
	add := func(name, text string) { all = append(all, named{name, strings.TrimSpace(text) + "\n"}) }
	if front != "" {
		add(front, book[:at[0][0]])
	}
	for i, a := range at {
		end := len(book)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		add(name(i), book[a[0]:end])
	}
	return all
}

// between is the text after one mark and before another.
func between(t *testing.T, text, from, to string) string {
	t.Helper()
	_, text, found := strings.Cut(text, from)
	if !found {
		t.Fatalf("no %q", from)
	}
	if to == "" {
		return text
	}
	text, _, found = strings.Cut(text, to)
	if !found {
		t.Fatalf("no %q", to)
	}
	return text
}

// prose makes the embedded corpus from its sources, without the headers, the licence and the name of the project that typed them.
func prose(t *testing.T) []named {
	lines := func(text []byte) string { return strings.ReplaceAll(string(text), "\r\n", "\n") }
	read := func(path ...string) string {
		b, err := os.ReadFile(filepath.Join(path...))
		if err != nil {
			t.Fatal(err)
		}
		return lines(b)
	}
	opticks := between(t, lines(golden.Distribution(t, "src", "testdata", "Isaac.Newton-Opticks.txt")), "http://www.pgdp.net.\n", "")
	opticks = regexp.MustCompile(`(?s)Transcriber's Note:.*?\n\n`).ReplaceAllString(opticks, "")
	parts := []string{"book 1, part 1", "book 1, part 2", "book 2, part 1", "book 2, part 2", "book 2, part 3", "book 2, part 4", "book 3"}
	all := chapters(opticks, `(?m)^(THE\n\n|THE )(FIRST|SECOND|THIRD)[ \n]BOOK`, "Opticks, advertisements", func(i int) string { return "Opticks, " + parts[i] })

	tom := between(t, read(module(t, "github.com/klauspost/compress"), "testdata", "Mark.Twain-Tom.Sawyer.txt"), "Jose\nMenendez.\n", "\nEnd of the Project Gutenberg EBook")
	all = append(all, chapters(tom, `(?m)^CHAPTER [IVX]+$`, "Tom Sawyer, preface", func(i int) string { return fmt.Sprintf("Tom Sawyer, chapter %d", i+1) })...)

	holmes := between(t, read(module(t, "github.com/pierrec/lz4/v4"), "testdata", "pg1661.txt"), "Jose Menendez\n", "\nEnd of the Project Gutenberg EBook")
	all = append(all, chapters(holmes, `(?m)^(ADVENTURE [IVX]+\. [A-Z]|[IVX]+\. THE ADVENTURE OF)`, "", func(i int) string { return fmt.Sprintf("Sherlock Holmes, adventure %d", i+1) })...)
	return all
}

// The embedded corpus is what its sources say, divided as SOURCES.md says, and the project that typed the books is not named.
func TestEmbedded(t *testing.T) {
	var files [2]bytes.Buffer
	texts := [2][]string{}
	for _, d := range prose(t) {
		split := Train
		if held[d.Name] {
			split = HeldOut
		}
		line := json.NewEncoder(&files[split])
		line.SetEscapeHTML(false)
		if err := line.Encode(d); err != nil {
			t.Fatal(err)
		}
		texts[split] = append(texts[split], d.Text)
		if strings.Contains(strings.ToLower(d.Text), "gutenberg") {
			t.Errorf("%s names the project that typed it", d.Name)
		}
	}
	if *golden.Update {
		for i, name := range []string{"train", "held-out"} {
			z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithWindowSize(1<<21))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join("embedded", name+".jsonl.zst"), z.EncodeAll(files[i].Bytes(), nil), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		t.Skip("written; run the test again")
	}
	c, err := Open(Settings{Tokenizer: tokenizer.Bytes{}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for split, want := range texts {
		if len(c.parts[split]) != len(want) {
			t.Fatalf("%d documents, want %d", len(c.parts[split]), len(want))
		}
		for i, d := range c.parts[split] {
			tokens := make([]int32, d.length)
			d.shard.copy(tokens, int(d.from))
			if got, err := c.tokenizer.Decode(nil, tokens); err != nil || string(got) != want[i] {
				t.Errorf("document %d of split %d differs from its source", i, split)
			}
		}
	}
	t.Logf("%+v", c.Facts())
}
