package tokenizer

import (
	"bytes"
	"unicode/utf8"
)

// AddedToken is a token that is found in texts by its name, before they are split.
type AddedToken struct {
	ID      int32  `json:"id"`
	Content string `json:"content"`

	SingleWord bool `json:"single_word"` // no letters, marks, digits or underscores stand beside it
	LStrip     bool `json:"lstrip"`      // white space before it belongs to it
	RStrip     bool `json:"rstrip"`      // white space after it belongs to it
	Normalized bool `json:"normalized"`  // it is found in the normalized text
	Special    bool `json:"special"`     // it stands for no text
}

// addedTokens finds tokens in texts: from left to right, and the longest of those that begin at the same place.
type addedTokens struct {
	tokens  []AddedToken
	first   [256]bool // the bytes with which a token begins
	only    int       // the only such byte; -1 if there are several
	nodes   []trieNode
	classes *classes
}

// trieNode is the beginning of names.
type trieNode struct {
	next  map[byte]int
	token int // of the name that ends here; -1 if none does
}

// add adds a token, found by its content or by what the content is after normalization.
func (a *addedTokens) add(t AddedToken, name []byte) {
	if len(a.nodes) == 0 {
		a.nodes = []trieNode{{token: -1}}
		a.only = int(name[0])
		a.classes = characterClasses()
	}
	if a.only != int(name[0]) {
		a.only = -1
	}
	a.first[name[0]] = true
	at := 0
	for _, b := range name {
		next, ok := a.nodes[at].next[b]
		if !ok {
			if a.nodes[at].next == nil {
				a.nodes[at].next = map[byte]int{}
			}
			next = len(a.nodes)
			a.nodes[at].next[b] = next
			a.nodes = append(a.nodes, trieNode{token: -1})
		}
		at = next
	}
	a.nodes[at].token = len(a.tokens)
	a.tokens = append(a.tokens, t)
}

// find returns where the next name begins and ends from a place on, and its token; the token is -1 if there is none.
func (a *addedTokens) find(text []byte, from int) (begin, end, token int) {
	for i := from; i < len(text); i++ {
		if a.only >= 0 {
			n := bytes.IndexByte(text[i:], byte(a.only))
			if n < 0 {
				break
			}
			i += n
		} else if !a.first[text[i]] {
			continue
		}
		token = -1
		at := 0
		for j := i; j < len(text); j++ {
			next, ok := a.nodes[at].next[text[j]]
			if !ok {
				break
			}
			at = next
			if t := a.nodes[at].token; t >= 0 {
				end, token = j+1, t
			}
		}
		if token >= 0 {
			return i, end, token
		}
	}
	return 0, 0, -1
}

// split calls between with the texts between tokens, which are not empty, and token with the tokens, in order.
func (a *addedTokens) split(text []byte, token func(int32), between func([]byte) error) error {
	done := 0
	for from := 0; len(a.tokens) > 0; {
		begin, end, k := a.find(text, from)
		if k < 0 {
			break
		}
		from = end
		t := &a.tokens[k]
		if t.SingleWord && (a.wordBefore(text[:begin]) || a.wordAfter(text[end:])) {
			continue
		}
		if t.LStrip {
			begin = a.trim(text[:begin]) // it may be before done, if the token before takes the same spaces
		}
		if t.RStrip {
			end += a.classes.with(text[end:], space)
		}
		if begin > done {
			if err := between(text[done:begin]); err != nil {
				return err
			}
		}
		token(t.ID)
		done = end
	}
	if done < len(text) {
		return between(text[done:])
	}
	return nil
}

// wordAfter reports whether text begins with a character of a word.
func (a *addedTokens) wordAfter(text []byte) bool {
	c, _ := a.classes.at(text)
	return c&word != 0
}

// wordBefore reports whether text ends with a character of a word.
func (a *addedTokens) wordBefore(text []byte) bool {
	r, _ := utf8.DecodeLastRune(text)
	return len(text) > 0 && a.classes.of(r)&word != 0
}

// trim returns the size of text without the white space at its end.
func (a *addedTokens) trim(text []byte) int {
	n := len(text)
	for n > 0 {
		r, size := utf8.DecodeLastRune(text[:n])
		if a.classes.of(r)&space == 0 {
			break
		}
		n -= size
	}
	return n
}
