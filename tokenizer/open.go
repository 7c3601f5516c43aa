package tokenizer

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// BytesName is the name of [Bytes] where a file is expected.
const BytesName = "bytes"

// Config says which tokenizer is wanted: the table [tokenizer].
type Config struct {
	File    string  `toml:"file" help:"bytes, or the path of a tokenizer.json or .tiktoken file" also:"name,path,vocab,vocab_file,tokenizer_file"`
	Pattern Pattern `toml:"pattern" help:"how a .tiktoken file that coil does not know splits texts: gpt-2, llama-3, qwen, smollm, cl100k or o200k" also:"pat_str,regex"`
	End     string  `toml:"end" help:"the token after each document; empty for the usual ones, such as <|endoftext|>" also:"eos,eos_token,bos,bos_token"`
	Slow    bool    `toml:"slow" help:"use a general regular expression for a pattern that has no scanner"`
}

// Default is [Bytes].
func Default() Config { return Config{File: BytesName} }

// maxFile is the largest file that is read. The largest known one has 35 MB.
const maxFile = 256 << 20

// Open returns the tokenizer. Errors name the file and what is wrong with it.
func (c Config) Open() (Tokenizer, error) {
	if c.File == BytesName {
		switch {
		case c.Pattern != "":
			return nil, errors.New("tokenizer.pattern is for .tiktoken files: bytes are not split")
		case c.End != "":
			return nil, errors.New("tokenizer.end is for files: the token after a document of bytes has no name")
		}
		return Bytes{}, nil
	}
	data, err := read(c.File)
	if err != nil {
		return nil, err
	}
	b, err := c.parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.File, err)
	}
	return b, nil
}

// read reads a file of at most maxFile bytes.
func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, readError(path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	var data []byte
	if err == nil && info.Size() <= maxFile {
		data, err = io.ReadAll(io.LimitReader(f, maxFile+1)) // a pipe has no size
	}
	switch {
	case err != nil:
		return nil, readError(path, err)
	case info.Size() > maxFile || len(data) > maxFile:
		return nil, fmt.Errorf("%s has more than %d MiB: it is no tokenizer", path, maxFile>>20)
	}
	return data, nil
}

func readError(path string, err error) error {
	var e *fs.PathError
	if errors.As(err, &e) {
		err = e.Err
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no tokenizer %s: want %s, or the path of a tokenizer.json or .tiktoken file", path, BytesName)
	}
	return fmt.Errorf("could not read the tokenizer %s: %w", path, err)
}

// parse reads a tokenizer from the bytes of a file. Its form is seen from its first byte.
func (c Config) parse(data []byte) (*BytePair, error) {
	var b *BytePair
	var err error
	if start := bytes.TrimLeft(data, " \t\r\n\ufeff"); len(start) > 0 && start[0] == '{' {
		b, err = c.parseJSON(data)
	} else {
		b, err = c.parseRanks(data)
	}
	if err != nil {
		return nil, err
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%d\n", b.pattern, b.end)
	h.Write(data)
	b.identity = "sha256:" + hex.EncodeToString(h.Sum(nil))
	return b, nil
}

// usualEnds are the names of tokens that stand after documents, in the order in which they are looked for.
var usualEnds = []string{"<|endoftext|>", "<|end_of_text|>", "<｜end▁of▁sentence｜>", "</s>", "<eos>", "<|eos|>", "<EOS>"}
