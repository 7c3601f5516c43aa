package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"coil/format"
	"coil/run"
	"coil/text"
	"coil/tokenizer"

	"github.com/spf13/cobra"
)

// trainedTokenizer is the result of coil tokenizer train.
type trainedTokenizer struct {
	File          string  `json:"file"`
	Tokens        int     `json:"tokens"`
	Merges        int     `json:"merges"`
	Pieces        int     `json:"pieces"`          // different ones in the texts
	Bytes         int     `json:"bytes"`           // of the texts
	BytesPerToken float64 `json:"bytes_per_token"` // in the texts
}

func newTokenizerTrain() *cobra.Command {
	var pattern, out, end string
	var size int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "train FILE...",
		Short: "Learn a vocabulary of byte-level BPE from texts",
		Example: `  coil tokenizer train book.txt
  coil tokenizer train books/*.txt --vocabulary 16384 --pattern llama-3 --out books.json
  zcat corpus.gz | coil tokenizer train -`,
		Long: "Again and again, the most frequent pair of neighbouring tokens becomes a token; at first, tokens are bytes. Pairs do not cross " +
			"the pieces into which a pattern splits the text. The result depends on nothing but the texts and these flags. It is " +
			"what the Python package tokenizers learns, as a tokenizer.json that it reads. - is standard input.",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{errors.New("train takes at least one file of text; - is standard input")}
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.IntVar(&size, "vocabulary", 4096, "`number` of tokens, with the 256 bytes and the end of documents")
	f.StringVar(&pattern, "pattern", string(tokenizer.Llama3), "`name` of the pattern that splits texts: gpt-2, llama-3, qwen, smollm or o200k")
	f.StringVar(&end, "end", "<|endoftext|>", "`name` of the token that ends documents")
	f.StringVar(&out, "out", "tokenizer.json", "`path` of the file to write; it must not exist")
	f.BoolVar(&asJSON, "json", false, "print the result as JSON")
	cmd.RegisterFlagCompletionFunc("pattern", cobra.FixedCompletions(tokenizer.GPT2.Values(), cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if _, err := os.Lstat(out); !errors.Is(err, fs.ErrNotExist) {
			return inputError{fmt.Errorf("%s exists: name another file with --out, or remove it", out)}
		}
		trainer, err := tokenizer.NewTrainer(tokenizer.Pattern(pattern))
		if err != nil {
			return usageError{fmt.Errorf("--pattern: %w", err)}
		}
		show := &learning{w: cmd.ErrOrStderr(), last: time.Now()}
		r := trainedTokenizer{File: out}
		if err := eachText(cmd, args, func(name string, b []byte) error {
			show.line("counting the pieces of %s, %s", name, format.Bytes(len(b)))
			trainer.Add(b)
			r.Bytes += len(b)
			show.line("counted %s, %s different pieces", format.Bytes(r.Bytes), format.Count(trainer.Pieces()))
			return nil
		}); err != nil {
			return err
		}
		trained, err := trainer.Train(size, end, func(n int) bool {
			show.line("%s of %s tokens", format.Count(n), format.Count(size))
			return true
		})
		if err != nil {
			return usageError{err}
		}
		if err := run.ReplaceFile(out, trained.JSON()); err != nil {
			return fileError("--out", err)
		}
		r.Tokens, r.Merges, r.Pieces = len(trained.Tokens), len(trained.Merges), trainer.Pieces()
		r.BytesPerToken = trained.BytesPerToken()
		if asJSON {
			return writeJSON(cmd.OutOrStdout(), r)
		}
		return r.print(cmd.OutOrStdout(), size)
	}
	return cmd
}

func (r trainedTokenizer) print(w io.Writer, wanted int) error {
	if r.Tokens < wanted {
		fmt.Fprintf(w, "%s tokens are all that these texts give: each of their pieces is one\n", format.Count(r.Tokens))
	}
	_, err := fmt.Fprintf(w, "%s: %s tokens, learned from %s of text, in which a token has %s bytes\n",
		strings.TrimSpace(text.Line(r.File)), format.Count(r.Tokens), format.Bytes(r.Bytes), format.Fixed(r.BytesPerToken, 2))
	return err
}

// learning prints a line about long work now and then.
type learning struct {
	w    io.Writer
	last time.Time
}

func (l *learning) line(format string, a ...any) {
	if now := time.Now(); now.Sub(l.last) >= lineEvery {
		l.last = now
		fmt.Fprintf(l.w, format+"\n", a...)
	}
}
