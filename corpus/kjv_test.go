package corpus

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"coil/tokenizer"
)

// bible writes the books of the King James Bible into a folder, a file each, and returns their names in order.
func bible(t *testing.T, folder string) []string {
	t.Helper()
	program, err := exec.LookPath("bible")
	if err != nil {
		const text = "bible is not installed: apt-get install bible-kjv"
		if os.Getenv("COIL_REQUIRE") == "all" {
			t.Fatal(text)
		}
		t.Skip(text)
	}
	all, err := exec.Command(program, "-f", "Gen1:1-Rev22:21").Output()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	var book bytes.Buffer
	end := func() {
		if len(names) > 0 {
			if err := os.WriteFile(filepath.Join(folder, names[len(names)-1]+".txt"), book.Bytes(), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		book.Reset()
	}
	verse := regexp.MustCompile(`^(.*?)\d+:\d+ `)
	for line := range bytes.Lines(all) {
		m := verse.FindSubmatch(line)
		if m == nil {
			t.Fatalf("no verse: %s", line)
		}
		if name := string(m[1]); len(names) == 0 || names[len(names)-1] != name {
			end()
			names = append(names, name)
		}
		book.Write(line)
	}
	end()
	return names
}

// A corpus of 66 books, two of them held out, has each of the 31,102 verses once, in order, in the split of its book.
func TestBible(t *testing.T) {
	folder := t.TempDir()
	books := bible(t, folder)
	if len(books) != 66 {
		t.Fatalf("%d books: %v", len(books), books)
	}
	s := Settings{Tokenizer: tokenizer.Bytes{}, Cache: t.TempDir(), Options: Options{Field: "text"}}
	heldOut := map[string]bool{"Ruth": true, "John": true}
	var want [2][]byte
	for _, name := range books {
		path := filepath.Join(folder, name+".txt")
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		split := Train
		if heldOut[name] {
			split, s.HeldOut = HeldOut, append(s.HeldOut, path)
		}
		s.Files = append(s.Files, path)
		want[split] = append(want[split], text...)
	}
	if n := bytes.Count(want[Train], []byte("\n")) + bytes.Count(want[HeldOut], []byte("\n")); n != 31_102 {
		t.Errorf("%d verses", n)
	}
	if n := bytes.Count(want[HeldOut], []byte("\n")); n != 85+879 { // Ruth and John
		t.Errorf("%d verses are held out", n)
	}
	c := open(t, s)
	if n := c.Facts().Bytes; n != 4_404_412 {
		t.Errorf("%d bytes", n)
	}
	for split, want := range want {
		sequences := c.Stream(Split(split), 500)
		tokens := stream(t, sequences, 256)
		if n := int64(len(tokens)); n != sequences.Tokens() || int(n) != len(want)+len(c.parts[split]) {
			t.Errorf("%d tokens, want those of %d bytes in %d documents", n, len(want), len(c.parts[split]))
		}
		got, err := c.tokenizer.Decode(nil, slices.DeleteFunc(tokens, func(t int32) bool { return t == 256 }))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("the text of split %d is not that of its books, %v", split, err)
		}
	}
}
