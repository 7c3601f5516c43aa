package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"coil/text"
)

// jsonFile is a tokenizer.json, the format of the Python package tokenizers. Settings of batches and of single texts, which
// are truncation, padding and post_processor, are not for corpora and are ignored.
type jsonFile struct {
	AddedTokens  []jsonAdded     `json:"added_tokens"`
	Normalizer   json.RawMessage `json:"normalizer"`
	PreTokenizer json.RawMessage `json:"pre_tokenizer"`
	Decoder      json.RawMessage `json:"decoder"`
	Model        *jsonModel      `json:"model"`
}

type jsonModel struct {
	Type         string          `json:"type"`
	Dropout      float64         `json:"dropout"`
	Prefix       string          `json:"continuing_subword_prefix"`
	Suffix       string          `json:"end_of_word_suffix"`
	ByteFallback bool            `json:"byte_fallback"`
	IgnoreMerges bool            `json:"ignore_merges"`
	Vocab        json.RawMessage `json:"vocab"`
	Merges       json.RawMessage `json:"merges"`
}

// jsonAdded has a pointer for what must be there.
type jsonAdded struct {
	ID         *int64  `json:"id"`
	Content    *string `json:"content"`
	SingleWord *bool   `json:"single_word"`
	LStrip     *bool   `json:"lstrip"`
	RStrip     *bool   `json:"rstrip"`
	Normalized *bool   `json:"normalized"`
	Special    *bool   `json:"special"`
}

// jsonStep is a normalizer, a pre-tokenizer or a decoder.
type jsonStep struct {
	Type           string                     `json:"type"`
	Steps          []json.RawMessage          `json:"pretokenizers"`
	Normalizers    []json.RawMessage          `json:"normalizers"`
	Decoders       []json.RawMessage          `json:"decoders"`
	Pattern        map[string]json.RawMessage `json:"pattern"`
	Behavior       string                     `json:"behavior"`
	Invert         bool                       `json:"invert"`
	AddPrefixSpace *bool                      `json:"add_prefix_space"`
	UseRegex       *bool                      `json:"use_regex"`
	Individual     bool                       `json:"individual_digits"`
}

func (c Config) parseJSON(data []byte) (*BytePair, error) {
	if c.Pattern != "" {
		return nil, errors.New("tokenizer.pattern is for .tiktoken files: a tokenizer.json has its own")
	}
	var f jsonFile
	if err := decodeJSON(data, &f, ""); err != nil {
		return nil, err
	}
	b := new(BytePair)
	ids, err := b.readModel(f.Model)
	if err != nil {
		return nil, err
	}
	if err := b.readNormalizer(f.Normalizer); err != nil {
		return nil, err
	}
	if err := b.readSteps(f.PreTokenizer, c.Slow); err != nil {
		return nil, err
	}
	if err := checkDecoder(f.Decoder); err != nil {
		return nil, err
	}
	if err := b.readAdded(f.AddedTokens, ids); err != nil {
		return nil, err
	}
	return b, b.findEnd(c.End)
}

// decodeJSON decodes JSON that stands in the field of a file, and explains errors.
func decodeJSON(data []byte, v any, field string) error {
	err := json.Unmarshal(data, v)
	if err == nil {
		return nil
	}
	where := field
	if where != "" {
		where += ": "
	}
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &kind):
		name := strings.Trim(field+"."+kind.Field, ".")
		if name == "" {
			name = "the file"
		}
		return fmt.Errorf("%s is a JSON %s, which it can't be in a tokenizer.json", name, kind.Value)
	case errors.As(err, &syntax) && syntax.Offset >= int64(len(data)):
		return fmt.Errorf("%sthe JSON ends too early, in line %d: the file is cut off", where, lineOf(data, len(data)))
	case errors.As(err, &syntax):
		return fmt.Errorf("%sline %d is not JSON, or is nested too deeply: the file is damaged, or no tokenizer.json", where, lineOf(data, int(syntax.Offset)))
	}
	return fmt.Errorf("%sthe file is not JSON", where)
}

func lineOf(data []byte, offset int) int {
	return 1 + bytes.Count(data[:min(max(offset, 0), len(data))], []byte("\n"))
}

func isNull(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// maxGap is how many numbers may be no tokens, for each token: a larger vocabulary would be mostly empty.
const maxGap = 2

// readModel reads the vocabulary and the merges, and returns the numbers of tokens by name.
func (b *BytePair) readModel(m *jsonModel) (map[string]int32, error) {
	switch {
	case m == nil:
		return nil, errors.New("it has no model: it is no tokenizer.json")
	case m.Type != "BPE" && m.Type != "":
		return nil, fmt.Errorf("model.type is %q: coil reads byte-level BPE only", m.Type)
	case m.Dropout != 0:
		return nil, fmt.Errorf("model.dropout is %g, which encodes a text differently each time: want null", m.Dropout)
	case m.Prefix != "":
		return nil, fmt.Errorf("model.continuing_subword_prefix is %q: byte-level BPE has none", m.Prefix)
	case m.Suffix != "":
		return nil, fmt.Errorf("model.end_of_word_suffix is %q: byte-level BPE has none", m.Suffix)
	case m.ByteFallback:
		return nil, errors.New("model.byte_fallback is true: coil reads byte-level BPE only, in which bytes need no fallback")
	case isNull(m.Vocab):
		return nil, errors.New("it has no model.vocab")
	case isNull(m.Merges):
		return nil, errors.New("it has no model.merges")
	}
	ids, err := b.readVocabulary(m.Vocab)
	if err != nil {
		return nil, err
	}
	pairs, err := readMerges(m.Merges)
	if err != nil {
		return nil, err
	}
	b.merges = newMerges(len(pairs))
	for i, p := range pairs {
		var id [3]int32
		for k, name := range []string{p[0], p[1], p[0] + p[1]} {
			var ok bool
			if id[k], ok = ids[name]; !ok {
				return nil, fmt.Errorf("model.merges[%d] joins %q and %q, but model.vocab has no %q: the two parts belong to different tokenizers, or the file is damaged", i, p[0], p[1], name)
			}
		}
		b.merges.set(id[0], id[1], merge{int32(i), id[2]})
	}
	if m.IgnoreMerges {
		b.whole = map[string]int32{}
		for name, id := range ids {
			if text, ok := bytesOf(name); ok {
				b.whole[string(text)] = id
			}
		}
	}
	return ids, nil
}

// readVocabulary reads the names and numbers of tokens, and returns the numbers by name.
func (b *BytePair) readVocabulary(raw json.RawMessage) (map[string]int32, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, errors.New("model.vocab is not an object of names and numbers: coil reads byte-level BPE only")
	}
	ids := map[string]int32{}
	var names []string
	var numbers []int64
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, errors.New("model.vocab is damaged")
		}
		value, err := d.Token()
		number, ok := value.(json.Number)
		if err != nil || !ok {
			return nil, fmt.Errorf("model.vocab[%q] is not a number", key)
		}
		id, err := number.Int64()
		if err != nil || id < 0 {
			return nil, fmt.Errorf("model.vocab[%q] is %s, want a whole number of 0 or more", key, number)
		}
		names, numbers = append(names, key.(string)), append(numbers, id)
	}
	if len(names) == 0 {
		return nil, errors.New("model.vocab is empty")
	}
	for i := range b.bytes {
		b.bytes[i] = -1
	}
	for i, name := range names {
		id := numbers[i]
		if id >= int64(maxGap*len(names)+256) {
			return nil, fmt.Errorf("model.vocab[%q] is %d, far beyond the %d tokens that there are: the file is damaged", name, id, len(names))
		}
		if _, twice := ids[name]; twice {
			return nil, fmt.Errorf("model.vocab has %q twice", name)
		}
		ids[name] = int32(id)
		spelled, ok := bytesOf(name)
		if !ok {
			spelled = []byte(name)
		}
		if err := b.setToken(int32(id), spelled); err != nil {
			return nil, fmt.Errorf("model.vocab: %w", err)
		}
		if ok && len(spelled) == 1 {
			b.bytes[spelled[0]] = int32(id)
		}
	}
	return ids, nil
}

// setToken gives a token its bytes.
func (b *BytePair) setToken(id int32, text []byte) error {
	for int(id) >= len(b.tokens) {
		b.tokens, b.special = append(b.tokens, nil), append(b.special, false)
	}
	if b.tokens[id] != nil {
		return fmt.Errorf("the tokens %q and %q have the same number, %d", b.tokens[id], text, id)
	}
	b.tokens[id] = text
	b.count++
	return nil
}

// readMerges reads pairs, which are lists of two names or texts with a space between.
func readMerges(raw json.RawMessage) (pairs [][2]string, err error) {
	var texts []string
	if json.Unmarshal(raw, &texts) == nil {
		for i, t := range texts {
			left, right, ok := strings.Cut(t, " ")
			if !ok || strings.Contains(right, " ") {
				return nil, fmt.Errorf("model.merges[%d] is %q, want two names with a space between", i, t)
			}
			pairs = append(pairs, [2]string{left, right})
		}
		return pairs, nil
	}
	var lists [][]string
	if json.Unmarshal(raw, &lists) != nil {
		return nil, errors.New("model.merges is neither a list of texts nor a list of pairs of texts")
	}
	for i, l := range lists {
		if len(l) != 2 {
			return nil, fmt.Errorf("model.merges[%d] has %d names, want 2", i, len(l))
		}
		pairs = append(pairs, [2]string{l[0], l[1]})
	}
	return pairs, nil
}

// step decodes one step of a field.
func step(raw json.RawMessage, field string) (jsonStep, error) {
	var s jsonStep
	if err := decodeJSON(raw, &s, field); err != nil {
		return s, err
	}
	if s.Type == "" {
		return s, fmt.Errorf("%s has no type", field)
	}
	return s, nil
}

// sequence returns the steps of a field, which may be one or a Sequence.
func sequence(raw json.RawMessage, field string, inner func(jsonStep) []json.RawMessage) ([]jsonStep, error) {
	if isNull(raw) {
		return nil, nil
	}
	s, err := step(raw, field)
	if err != nil {
		return nil, err
	}
	if s.Type != "Sequence" {
		return []jsonStep{s}, nil
	}
	var steps []jsonStep
	for i, raw := range inner(s) {
		s, err := step(raw, fmt.Sprintf("%s[%d]", field, i))
		if err != nil {
			return nil, err
		}
		steps = append(steps, s)
	}
	return steps, nil
}

func (b *BytePair) readNormalizer(raw json.RawMessage) error {
	steps, err := sequence(raw, "normalizer", func(s jsonStep) []json.RawMessage { return s.Normalizers })
	if err != nil {
		return err
	}
	for _, s := range steps {
		if s.Type != "NFC" {
			return fmt.Errorf("the normalizer %s is not supported: coil knows NFC, or none", s.Type)
		}
		b.compose = true
	}
	return nil
}

func checkDecoder(raw json.RawMessage) error {
	steps, err := sequence(raw, "decoder", func(s jsonStep) []json.RawMessage { return s.Decoders })
	if err != nil {
		return err
	}
	for _, s := range steps {
		if s.Type != "ByteLevel" {
			return fmt.Errorf("the decoder %s is not supported: coil reads byte-level BPE only, whose decoder is ByteLevel", s.Type)
		}
	}
	return nil
}

// readSteps reads the pre-tokenizer: how text is split. If slow is set, by general regular expressions where there is no scanner.
func (b *BytePair) readSteps(raw json.RawMessage, slow bool) error {
	steps, err := sequence(raw, "pre_tokenizer", func(s jsonStep) []json.RawMessage { return s.Steps })
	if err != nil {
		return err
	}
	if len(steps) == 0 || steps[len(steps)-1].Type != "ByteLevel" {
		return errors.New("pre_tokenizer does not end with ByteLevel: coil reads byte-level BPE only")
	}
	var described []string
	for i, s := range steps {
		last := i == len(steps)-1
		switch {
		case s.Type == "ByteLevel" && last:
			b.prefix = s.AddPrefixSpace == nil || *s.AddPrefixSpace
			if b.prefix && i > 0 {
				return errors.New("pre_tokenizer: ByteLevel with add_prefix_space after another step is not supported: want add_prefix_space = false")
			}
			if s.UseRegex == nil || *s.UseRegex {
				gpt2, _, _ := scannerOf(gpt2Expression)
				b.splitters = append(b.splitters, gpt2)
				described = append(described, gpt2Expression)
			}
		case s.Type == "Digits" && s.Individual:
			b.splitters = append(b.splitters, digitSplitter{characterClasses()}.self)
			described = append(described, digitStep)
		case s.Type == "Split":
			expression, err := b.readSplit(s, slow)
			if err != nil {
				return err
			}
			described = append(described, expression)
		case s.Type == "Digits":
			return errors.New("pre_tokenizer: Digits is supported with individual_digits = true only")
		default:
			return fmt.Errorf("pre_tokenizer: %s is not supported: coil knows Split, Digits and ByteLevel", s.Type)
		}
	}
	b.pattern = describe(described)
	return nil
}

// readSplit adds the splitter of a Split and returns its regular expression.
func (b *BytePair) readSplit(s jsonStep, slow bool) (string, error) {
	var expression, literal string
	switch {
	case s.Pattern["Regex"] != nil && json.Unmarshal(s.Pattern["Regex"], &expression) == nil:
	case s.Pattern["String"] != nil && json.Unmarshal(s.Pattern["String"], &literal) == nil:
		expression = quoteExpression(literal)
	default:
		return "", errors.New("pre_tokenizer: Split has no pattern")
	}
	scan, canonical, known := scannerOf(expression)
	// A known pattern matches every character, so that what lies between matches, which is kept or removed, is empty.
	isolated := s.Behavior == "Isolated" && !s.Invert || known && s.Behavior == "Removed" && s.Invert
	switch {
	case !isolated:
		return "", fmt.Errorf("pre_tokenizer: Split with behavior = %q and invert = %t is not supported: coil knows Isolated and false", s.Behavior, s.Invert)
	case known:
		b.splitters = append(b.splitters, scan)
	case !slow:
		return "", &PatternError{expression}
	default:
		x, err := newExpression(expression)
		if err != nil {
			return "", err
		}
		b.splitters = append(b.splitters, x.splitter)
		b.general = true
	}
	return canonical, nil
}

// PatternError reports a pattern that has no scanner.
type PatternError struct{ Expression string }

func (e *PatternError) Error() string {
	return fmt.Sprintf("coil has no scanner for the pattern %s; --tokenizer.slow, or task.text.tokenizer_slow in training, splits with a general regular expression, some ten times slower", text.Line(e.Expression))
}

// readAdded reads the added tokens; ids are those of the vocabulary.
func (b *BytePair) readAdded(added []jsonAdded, ids map[string]int32) error {
	seen := map[string]bool{}
	largest := int32(-1) // of the added tokens so far
	for i, j := range added {
		t, err := j.token()
		if err != nil {
			return fmt.Errorf("added_tokens[%d]: %w", i, err)
		}
		if seen[t.Content] {
			return fmt.Errorf("added_tokens[%d]: %q is there twice", i, t.Content)
		}
		seen[t.Content] = true
		id, exists := ids[t.Content]
		if !exists { // the numbers that the Python package gives, whatever the file says
			id = max(int32(len(ids)), largest+1)
		}
		if id != t.ID {
			return fmt.Errorf("added_tokens[%d]: %q has the number %d, but the Python package gives it %d: numbers must be those of model.vocab, or continue it", i, t.Content, t.ID, id)
		}
		if !exists {
			text := []byte(t.Content)
			if t.Normalized && b.compose {
				text = composeNFC(text)
			}
			if err := b.setToken(t.ID, text); err != nil {
				return fmt.Errorf("added_tokens[%d]: %w", i, err)
			}
		}
		largest = max(largest, id)
		b.special[t.ID] = t.Special
		b.addToken(t)
	}
	return nil
}

// addToken lets a token be found in texts.
func (b *BytePair) addToken(t AddedToken) {
	b.added = append(b.added, t)
	name := []byte(t.Content)
	if !t.Normalized {
		b.raw.add(t, name)
		return
	}
	if b.compose {
		name = composeNFC(name)
	}
	b.normalized.add(t, name)
}

func (j jsonAdded) token() (AddedToken, error) {
	switch {
	case j.ID == nil:
		return AddedToken{}, errors.New("it has no id")
	case j.Content == nil:
		return AddedToken{}, errors.New("it has no content")
	case *j.Content == "":
		return AddedToken{}, errors.New("its content is empty")
	case *j.ID < 0 || *j.ID > 1<<31-1:
		return AddedToken{}, fmt.Errorf("%q has the number %d, want one from 0 to 2147483647", *j.Content, *j.ID)
	}
	t := AddedToken{ID: int32(*j.ID), Content: *j.Content}
	for _, f := range []struct {
		name string
		from *bool
		to   *bool
	}{{"single_word", j.SingleWord, &t.SingleWord}, {"lstrip", j.LStrip, &t.LStrip}, {"rstrip", j.RStrip, &t.RStrip}, {"normalized", j.Normalized, &t.Normalized}, {"special", j.Special, &t.Special}} {
		if f.from == nil {
			return t, fmt.Errorf("%q has no %s", t.Content, f.name)
		}
		*f.to = *f.from
	}
	return t, nil
}

// findEnd finds the token after documents: the one of the name, or a usual one.
func (b *BytePair) findEnd(name string) error {
	wanted := usualEnds
	if name != "" {
		wanted = []string{name}
	}
	for _, w := range wanted {
		for _, t := range b.added {
			if t.Content == w {
				b.end = t.ID
				return nil
			}
		}
	}
	var have []string
	for _, t := range b.added {
		if t.Special && len(have) < 8 {
			have = append(have, t.Content)
		}
	}
	list := "none"
	if len(have) > 0 {
		list = strings.Join(have, " ")
	}
	if name != "" {
		return fmt.Errorf("tokenizer.end is %q, which is no added token; special tokens are: %s", name, list)
	}
	return fmt.Errorf("no added token is known to end documents; name one with tokenizer.end; special tokens are: %s", list)
}
