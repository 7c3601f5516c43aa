package tokenizer

import "testing"

// BenchmarkScanners splits Newton's Opticks.
func BenchmarkScanners(b *testing.B) {
	text := opticks(b)
	for _, name := range GPT2.Values() {
		b.Run(name, func(b *testing.B) {
			steps, err := Pattern(name).splitters()
			if err != nil {
				b.Fatal(err)
			}
			var made []splitter
			for _, s := range steps {
				made = append(made, s())
			}
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				split(text, made, func([]byte) error { return nil })
			}
		})
	}
}

// BenchmarkEncode encodes Newton's Opticks, with what is kept of earlier pieces and without.
func BenchmarkEncode(b *testing.B) {
	text := opticks(b)
	for _, file := range []string{"gpt2", "llama3", "qwen", "smollm"} {
		tokenizer := parseFile(b, "testdata/"+file+".json")
		for _, name := range []string{file, file + "/new"} {
			b.Run(name, func(b *testing.B) {
				e := tokenizer.NewEncoder()
				var tokens []int32
				b.SetBytes(int64(len(text)))
				for b.Loop() {
					if name != file {
						e = tokenizer.NewEncoder()
					}
					var err error
					if tokens, err = e.Encode(tokens[:0], text); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkTrain learns 4,096 tokens from Newton's Opticks.
func BenchmarkTrain(b *testing.B) {
	b.SetBytes(int64(len(opticks(b))))
	for b.Loop() {
		trainOpticks(b, Llama3, 4096, "<end>")
	}
}
