package corpus

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// A Source is a file of documents.
type Source struct {
	Path     string // absolute
	Size     int64
	Modified int64 // in nanoseconds since 1970

	layout layout
	packed packing
}

// layout is how documents stand in a file.
type layout int

const (
	plain     layout = iota // text
	jsonLines               // JSON objects, one to a line
	parquetFile
)

// packing is how a file is compressed.
type packing int

const (
	unpacked packing = iota
	gzipped
	zstandard
)

var layouts = map[string]layout{
	".txt": plain, ".text": plain, ".md": plain, ".jsonl": jsonLines, ".ndjson": jsonLines, ".parquet": parquetFile,
}

var packings = map[string]packing{".gz": gzipped, ".zst": zstandard}

// endings describes the files that are taken from a folder.
const endings = ".txt, .text, .md, .jsonl, .ndjson, each also with .gz or .zst, and .parquet"

// kindOf returns the format of a file by its name. If the extension is unknown, known is false and the file is plain text.
func kindOf(path string) (l layout, p packing, known bool) {
	ext := strings.ToLower(filepath.Ext(path))
	p, compressed := packings[ext]
	if compressed {
		ext = strings.ToLower(filepath.Ext(path[:len(path)-len(ext)]))
	}
	l, known = layouts[ext]
	if l == parquetFile && compressed {
		known = false
	}
	return l, p, known
}

// Find returns the files that patterns name, each once. A pattern is a file, a folder, which stands for all files in it and below
// whose names end in .txt, .text, .md, .jsonl, .ndjson, with .gz or .zst after it or not, or in .parquet, or a pattern of
// [filepath.Match]. The files of one pattern are in the order of their names. A pattern that names no file is an error.
func Find(patterns []string) ([]Source, error) {
	var all []Source
	for _, pattern := range patterns {
		found, err := find(pattern)
		if err != nil {
			return nil, err
		}
		for _, s := range found {
			if !slices.ContainsFunc(all, func(x Source) bool { return x.Path == s.Path }) {
				all = append(all, s)
			}
		}
	}
	return all, nil
}

func find(pattern string) ([]Source, error) {
	if _, err := os.Stat(pattern); err == nil {
		return findAt(pattern)
	}
	paths, err := filepath.Glob(pattern)
	if err != nil {
		return nil, fmt.Errorf("%s is not a pattern: it has a [ without a ]", pattern)
	}
	if paths == nil {
		if strings.ContainsAny(pattern, "*?[") {
			return nil, fmt.Errorf("%s names no file", pattern)
		}
		return nil, fmt.Errorf("there is no file or folder %s: task.text.files lists the files, folders and patterns of the corpus", pattern)
	}
	var all []Source
	for _, path := range paths {
		found, err := findAt(path)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// findAt returns the file at path, or the files below it.
func findAt(path string) ([]Source, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return nil, systemError("open", path, err)
	}
	if !fi.IsDir() {
		s, err := newSource(path)
		return []Source{s}, err
	}
	var all []Source
	err = filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return systemError("read", p, err)
		}
		if p != path && strings.HasPrefix(d.Name(), ".") { // hidden
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if _, _, known := kindOf(p); d.IsDir() || !known {
			return nil
		}
		s, err := newSource(p)
		all = append(all, s)
		return err
	})
	if err == nil && all == nil {
		err = fmt.Errorf("the folder %s has no files of text: names that end in %s", path, endings)
	}
	return all, err
}

func newSource(path string) (Source, error) {
	l, p, known := kindOf(path)
	if !known && l == parquetFile {
		return Source{}, fmt.Errorf("%s: parquet has its own compression; unpack the file", path)
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return Source{}, fmt.Errorf("%s has no absolute path, as the current folder is gone: change to one that exists", path)
	}
	fi, err := os.Stat(absolute)
	if err != nil {
		return Source{}, systemError("open", path, err)
	}
	if !fi.Mode().IsRegular() {
		return Source{}, fmt.Errorf("%s is not a file of its own, such as a pipe or a device: copy the text to a file", path)
	}
	return Source{Path: absolute, Size: fi.Size(), Modified: fi.ModTime().UnixNano(), layout: l, packed: p}, nil
}

// systemError says that what was tried with a file failed, and why.
func systemError(what, path string, err error) error {
	why := "the system reports: " + err.Error()
	var number syscall.Errno
	switch {
	case errors.Is(err, fs.ErrNotExist):
		why = "it is not there"
	case errors.Is(err, fs.ErrPermission):
		why = "its permissions forbid it"
	case errors.Is(err, syscall.ENOSPC):
		why = "the disk is full"
	case errors.As(err, &number):
		why = number.Error()
	}
	return fmt.Errorf("can't %s %s: %s", what, path, why)
}
