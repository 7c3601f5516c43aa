package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"coil/format"
	"coil/text"
	"coil/tokenizer"
	"coil/tui/terminal"

	"github.com/spf13/cobra"
)

func newTokenizer() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tokenizer",
		Short: "Train tokenizers, and see what they make of text",
		Example: `  coil tokenizer train book.txt --vocabulary 4096     learn a vocabulary; writes tokenizer.json
  coil tokenizer inspect tokenizer.json               its size, pattern and special tokens
  echo "Hello, world" | coil tokenizer encode         the tokens of a text: bytes
  coil tokenizer encode book.txt --tokenizer.file tokenizer.json
  coil tokenizer decode 72 105 10                     the text of tokens`,
		Long: "A tokenizer turns text into the numbers that a model reads. The default has one for each byte and one that ends a document. " +
			"Others are read from files: tokenizer.json of the Python package tokenizers with byte-level BPE, such as those of GPT-2, " +
			"Llama 3, Qwen and SmolLM, and .tiktoken files of ranks. docs/text.md explains them.",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return noCommand(cmd, args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.SuggestionsMinimumDistance = 2
	cmd.AddCommand(newTokenizerTrain(), newTokenizerEncode(), newTokenizerDecode(), newTokenizerInspect())
	return cmd
}

// tokenizerFlags choose a tokenizer. They are called as the keys of the configuration.
type tokenizerFlags struct{ tokenizer.Config }

// add adds the flags to a command, without the file for one that takes it as an argument.
func (o *tokenizerFlags) add(cmd *cobra.Command, file bool) {
	o.Config = tokenizer.Default()
	f := cmd.Flags()
	f.SortFlags = false
	if file {
		f.StringVar(&o.File, "tokenizer.file", tokenizer.BytesName, "`path` of a tokenizer.json or .tiktoken file, or bytes")
	}
	f.StringVar((*string)(&o.Pattern), "tokenizer.pattern", "", "`name` of the pattern that splits texts, for a .tiktoken file that coil does not know: "+strings.Join(o.Pattern.Values(), ", "))
	f.StringVar(&o.End, "tokenizer.end", "", "`name` of the token after each document; by default <|endoftext|> or a similar one of the file")
	f.BoolVar(&o.Slow, "tokenizer.slow", false, "use a general regular expression for a pattern that has no scanner")
	cmd.RegisterFlagCompletionFunc("tokenizer.pattern", cobra.FixedCompletions(o.Pattern.Values(), cobra.ShellCompDirectiveNoFileComp))
}

func (o *tokenizerFlags) open() (tokenizer.Tokenizer, error) {
	t, err := o.Open()
	if err != nil {
		return nil, inputError{err}
	}
	return t, nil
}

// maxText is the largest text that is read at once.
const maxText = 1 << 30

// eachText reads the files, or standard input if there are none or for -, and calls use with each.
func eachText(cmd *cobra.Command, paths []string, use func(name string, text []byte) error) error {
	if len(paths) == 0 {
		paths = []string{"-"}
	}
	for _, path := range paths { // before anything is printed
		if _, err := os.Stat(path); path != "-" && errors.Is(err, fs.ErrNotExist) {
			return inputError{fmt.Errorf("there is no file %s: arguments name files of text; text itself comes on standard input", path)}
		}
	}
	for _, path := range paths {
		name, r := "standard input", cmd.InOrStdin()
		if path != "-" {
			f, err := os.Open(path)
			if err != nil {
				return inputError{fileError("could not read the text", err)}
			}
			defer f.Close()
			name, r = path, f
		}
		b, err := io.ReadAll(io.LimitReader(r, maxText+1))
		switch {
		case err != nil:
			return inputError{fileError("could not read the text", err)}
		case len(b) > maxText:
			return inputError{fmt.Errorf("%s has more than %s: split it into documents", name, format.Bytes(maxText))}
		}
		if err := use(name, b); err != nil {
			return err
		}
	}
	return nil
}

func newTokenizerEncode() *cobra.Command {
	var o tokenizerFlags
	var pieces bool
	cmd := &cobra.Command{
		Use:   "encode [FILE...]",
		Short: "Print the tokens of texts",
		Example: `  coil tokenizer encode book.txt --tokenizer.file tokenizer.json
  echo "Hello, world" | coil tokenizer encode
  echo "Hello, world" | coil tokenizer encode --tokenizer.file tokenizer.json --pieces`,
		Long: "Each file is a text. Without files, or for -, the text is standard input. The tokens of a text are printed on a line, with a space between " +
			"them and without the token that ends a document.",
	}
	o.add(cmd, true)
	cmd.Flags().BoolVar(&pieces, "pieces", false, "print each token on a line of its own, with the text that it stands for")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		t, err := o.open()
		if err != nil {
			return err
		}
		e := t.NewEncoder()
		w := bufio.NewWriter(cmd.OutOrStdout())
		var tokens []int32
		err = eachText(cmd, args, func(name string, b []byte) error {
			var err error
			if tokens, err = e.Encode(tokens[:0], b); err != nil {
				return inputError{fmt.Errorf("%s: %w", name, err)}
			}
			if pieces {
				return printPieces(w, t, tokens)
			}
			for i, token := range tokens {
				if i > 0 {
					w.WriteByte(' ')
				}
				w.WriteString(strconv.Itoa(int(token)))
			}
			return w.WriteByte('\n')
		})
		return errors.Join(err, w.Flush())
	}
	return cmd
}

// printPieces prints tokens with what they stand for, in quotes.
func printPieces(w io.Writer, t tokenizer.Tokenizer, tokens []int32) error {
	width := len(strconv.Itoa(t.VocabularySize() - 1))
	for _, token := range tokens {
		b, err := t.Decode(nil, []int32{token})
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "%*d  %s\n", width, token, strconv.Quote(string(b))); err != nil {
			return err
		}
	}
	return nil
}

func newTokenizerDecode() *cobra.Command {
	var o tokenizerFlags
	cmd := &cobra.Command{
		Use:   "decode [TOKEN...]",
		Short: "Print the text of tokens",
		Example: `  coil tokenizer decode 72 105 10
  coil tokenizer encode book.txt --tokenizer.file tokenizer.json > tokens
  coil tokenizer decode --tokenizer.file tokenizer.json < tokens > copy.txt`,
		Long: "The tokens are arguments, or numbers with white space between them on standard input. Files and programs get the bytes as they " +
			"are. A terminal gets text: bytes that are no UTF-8 as �, and control characters as what they are.",
	}
	o.add(cmd, true)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		t, err := o.open()
		if err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		if clean, ok := out.(*output); ok {
			if f, ok := clean.raw.(*os.File); !ok || !isTerminal(f) {
				out = clean.raw
			}
		}
		w := bufio.NewWriter(out)
		err = decode(w, t, cmd.InOrStdin(), args)
		if flush := w.Flush(); flush != nil && err == nil {
			err = fmt.Errorf("could not write the result: %w", flush)
		}
		return err
	}
	return cmd
}

func isTerminal(f *os.File) bool {
	_, _, ok := terminal.Size(f)
	return ok
}

// decode writes the text of tokens, which are words or, if there are none, read.
func decode(w io.Writer, t tokenizer.Tokenizer, in io.Reader, words []string) error {
	var b []byte
	one := func(word string, number int) error {
		token, err := strconv.ParseInt(word, 10, 32)
		if err != nil {
			return inputError{fmt.Errorf("token %d is %q, want a number from 0 to %d", number, text.Line(word), t.VocabularySize()-1)}
		}
		if b, err = t.Decode(b[:0], []int32{int32(token)}); err != nil {
			return inputError{fmt.Errorf("token %d: %w", number, err)}
		}
		_, err = w.Write(b)
		return err
	}
	for i, word := range words {
		if err := one(word, i+1); err != nil {
			return err
		}
	}
	if len(words) > 0 {
		return nil
	}
	lines := bufio.NewScanner(in)
	lines.Split(bufio.ScanWords)
	for n := 1; lines.Scan(); n++ {
		if err := one(lines.Text(), n); err != nil {
			return err
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return inputError{errors.New("standard input has a very long word: want numbers with white space between them")}
	case err != nil:
		return fileError("could not read the tokens", err)
	}
	return nil
}

func newTokenizerInspect() *cobra.Command {
	var o tokenizerFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "inspect FILE",
		Short: "Describe a tokenizer",
		Example: `  coil tokenizer inspect tokenizer.json
  coil tokenizer inspect bytes --json`,
		Long: "Prints the size of the vocabulary, how text is normalized and split, the tokens that are found by name, and the identity " +
			"that files of tokens are kept under.",
		Args: exactArgs(1, "a file, or bytes"),
	}
	o.add(cmd, false)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o.File = args[0]
		t, err := o.open()
		if err != nil {
			return err
		}
		d := tokenizer.Describe(t)
		if asJSON {
			return writeJSON(cmd.OutOrStdout(), d)
		}
		return printTokenizer(cmd.OutOrStdout(), t, d)
	}
	return cmd
}

// addedShown is how many added tokens are printed: some files have hundreds that are reserved.
const addedShown = 12

func printTokenizer(w io.Writer, t tokenizer.Tokenizer, d tokenizer.Description) error {
	line := func(name, format string, a ...any) { fmt.Fprintf(w, "%-15s  %s\n", name, fmt.Sprintf(format, a...)) }
	yes := map[bool]string{true: "yes", false: "no"}
	line("kind", "%s", d.Kind)
	tokens := format.Count(d.VocabularySize)
	if gaps := d.VocabularySize - d.Tokens; gaps > 0 {
		tokens += fmt.Sprintf(" (%s of them unused)", format.Count(gaps))
	}
	line("tokens", "%s", tokens)
	line("longest token", "%s", format.Plural(d.Longest, "byte"))
	if d.Kind != tokenizer.BytesName {
		line("merges", "%s", format.Count(d.Merges))
		pattern := text.Line(d.Pattern)
		if d.Slow {
			pattern += " (by a general regular expression)"
		}
		line("pattern", "%s", pattern)
		line("NFC", "%s", yes[d.NFC])
		line("space before", "%s", yes[d.SpaceBefore])
		line("whole pieces", "%s", yes[d.WholePieces])
		if n := len(d.MissingBytes); n > 0 {
			line("missing", "%s, such as 0x%02x: text that has them can't be encoded", format.Plural(n, "byte"), d.MissingBytes[0])
		}
	}
	end, err := t.Decode(nil, []int32{d.EndOfDocument})
	if err != nil {
		return err
	}
	line("end of document", "%s", strings.TrimSpace(fmt.Sprintf("%d %s", d.EndOfDocument, text.Line(string(end)))))
	line("identity", "%s", d.Identity)
	if len(d.Added) == 0 {
		return nil
	}
	rows := [][]string{{"added token", "number", "special", "found in", "takes spaces", "single word"}}
	for _, a := range d.Added[:min(len(d.Added), addedShown)] {
		found := map[bool]string{true: "normalized text", false: "text"}[a.Normalized]
		spaces := []string{"no", "before", "after", "before and after"}
		k := 0
		if a.LStrip {
			k++
		}
		if a.RStrip {
			k += 2
		}
		rows = append(rows, []string{text.Line(a.Content), strconv.Itoa(int(a.ID)), yes[a.Special], found, spaces[k], yes[a.SingleWord]})
	}
	fmt.Fprintf(w, "\n%s", table(rows))
	if n := len(d.Added) - addedShown; n > 0 {
		fmt.Fprintf(w, "and %s more; --json has all\n", format.Count(n))
	}
	return nil
}
