package main

import (
	"testing"

	"coil/corpus"
)

// The program reads parquet.
func TestParquet(t *testing.T) {
	found, err := corpus.Find([]string{"../../corpus/testdata/snappy.parquet"})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	if _, err := found[0].Read(corpus.Options{Field: "story"}, func([]byte) error { n++; return nil }); err != nil || n != 10 {
		t.Errorf("%d documents, %v", n, err)
	}
}
