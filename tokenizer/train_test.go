package tokenizer

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"testing"
)

// train trains on Newton's Opticks.
func trainOpticks(t testing.TB, p Pattern, size int, end string) *Trained {
	t.Helper()
	trainer, err := NewTrainer(p)
	if err != nil {
		t.Fatal(err)
	}
	trainer.Add(opticks(t))
	trained, err := trainer.Train(size, end, nil)
	if err != nil {
		t.Fatal(err)
	}
	return trained
}

func parse(t testing.TB, data []byte) *BytePair {
	t.Helper()
	b, err := Config{}.parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func parseFile(t testing.TB, path string) *BytePair {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, data)
}

// The files in testdata were trained by the Python package. coil learns the same tokens in the same order and the same merges.
// llama3.json has only some of the merges.
func TestTrainAsPython(t *testing.T) {
	for p, file := range map[Pattern]string{GPT2: "gpt2.json", Llama3: "llama3.json", Qwen: "qwen.json", SmolLM: "smollm.json"} {
		t.Run(file, func(t *testing.T) {
			theirs := parseFile(t, "testdata/"+file)
			end := string(theirs.tokens[theirs.end])
			trained := trainOpticks(t, p, 1000, end)
			ours := parse(t, trained.JSON())
			if ours.pattern != string(p) || ours.compose != theirs.compose || ours.prefix != theirs.prefix {
				t.Errorf("the pattern is %s, composed %t, with a space before %t", ours.pattern, ours.compose, ours.prefix)
			}
			if len(ours.tokens) != 1000 || !slices.EqualFunc(ours.tokens, theirs.tokens[:1000], bytes.Equal) {
				t.Error("the tokens are different")
			}
			if n := len(trained.Merges); n != 1000-SmallestVocabulary || ours.merges.count != n {
				t.Errorf("%d merges were learned, and %d read", n, ours.merges.count)
			}
			missing := 0
			for rank, m := range trained.Merges {
				a, ok := theirs.merges.get(m[0], m[1])
				if !ok {
					missing++
				} else if p != Llama3 && a.rank != int32(rank) {
					t.Fatalf("merge %d is Python's %d", rank, a.rank)
				}
			}
			if want := map[bool]int{true: len(trained.Merges) / 5}[p == Llama3]; missing != want {
				t.Errorf("Python has not learned %d of the merges, want %d", missing, want)
			}
		})
	}
}

// Ties are decided by the numbers of tokens, and pairs that overlap are merged from the left.
func TestTrainByHand(t *testing.T) {
	trainer, err := NewTrainer(GPT2)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"aaaaa", "xy", "xz", "xy", "xz"} {
		trainer.Add([]byte(s))
	}
	var sizes []int
	trained, err := trainer.Train(300, "<end>", func(n int) bool { sizes = append(sizes, n); return true })
	if err != nil {
		t.Fatal(err)
	}
	// The first pair occurs four times, overlapping; xy comes before xz, and aa·a before aa·aa. Python does the same.
	var names []string
	for _, m := range trained.Merges {
		names = append(names, fmt.Sprintf("%s+%s", trained.Tokens[m[0]], trained.Tokens[m[1]]))
	}
	if want := []string{"a+a", "x+y", "x+z", "aa+a", "aa+aaa"}; !slices.Equal(names, want) {
		t.Errorf("the merges are %q, want %q", names, want)
	}
	if want := []int{258, 259, 260, 261, 262}; !slices.Equal(sizes, want) {
		t.Errorf("the sizes are reported as %d", sizes)
	}
	if _, err := trainer.Train(300, "<end>", func(int) bool { return false }); err == nil {
		t.Error("training went on although report refused")
	}
}

func TestTrainErrors(t *testing.T) {
	if _, err := NewTrainer(CL100K); err == nil {
		t.Error("a file of the pattern cl100k was promised")
	}
	if _, err := NewTrainer("bert"); err == nil {
		t.Error("there is no pattern bert")
	}
	trainer, err := NewTrainer(GPT2)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := trainer.Train(1000, "<end>", nil); err == nil {
		t.Error("something was learned from nothing")
	}
	trainer.Add([]byte("abc"))
	for _, c := range []struct {
		size int
		end  string
	}{{256, "<end>"}, {1<<24 + 1, "<end>"}, {1000, ""}, {1000, "a"}} {
		if _, err := trainer.Train(c.size, c.end, nil); err == nil {
			t.Errorf("%d tokens and the end %q", c.size, c.end)
		}
	}
}
