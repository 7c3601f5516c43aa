package corpus_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"coil/corpus"
	_ "coil/corpus/parquet" // all tests of corpus read parquet

	"github.com/parquet-go/parquet-go"
)

// A row without a text is an error; one with an empty text is no document.
func TestNulls(t *testing.T) {
	type row struct {
		Text *string `parquet:"text,optional"`
	}
	a, empty, wrong, b := "a", "", "\xff", "b"
	var file bytes.Buffer
	if err := parquet.Write(&file, []row{{&a}, {&empty}, {nil}, {&wrong}, {&b}}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "a.parquet")
	if err := os.WriteFile(path, file.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	found, err := corpus.Find([]string{path})
	if err != nil {
		t.Fatal(err)
	}
	for _, skip := range []bool{false, true} {
		var got []string
		skipped, err := found[0].Read(corpus.Options{Field: "text", SkipBad: skip}, func(text []byte) error {
			got = append(got, string(text))
			return nil
		})
		switch want := `a.parquet: row 3: the column "text" is null`; {
		case !skip && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%v, want %s", err, want)
		case skip && (err != nil || !slices.Equal(got, []string{a, b}) || skipped.Count != 2 || !strings.HasSuffix(skipped.First, want)):
			t.Errorf("%q, skipped %+v, %v", got, skipped, err)
		}
	}
}
