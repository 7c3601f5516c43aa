package corpus

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"coil/format"
	"coil/tokenizer"

	"pgregory.net/rapid"
)

// counting is a tokenizer of bytes that counts the texts it encodes, and has a vocabulary of any size.
type counting struct {
	tokenizer.Bytes
	texts *atomic.Int64
	size  int
}

func (c counting) VocabularySize() int           { return max(c.size, c.Bytes.VocabularySize()) }
func (c counting) NewEncoder() tokenizer.Encoder { return countingEncoder{c} }
func (c counting) Identity() string              { return fmt.Sprint("counting ", c.size) }

type countingEncoder struct{ c counting }

func (e countingEncoder) Encode(dst []int32, text []byte) ([]int32, error) {
	e.c.texts.Add(1)
	if bytes.Contains(text, []byte("poison")) {
		return dst, errors.New("poison")
	}
	return e.c.Bytes.Encode(dst, text)
}

func newCounting() counting { return counting{texts: new(atomic.Int64)} }

// write writes JSON lines of documents and returns their path.
func write(t testing.TB, path string, documents []string) {
	t.Helper()
	var b strings.Builder
	for _, d := range documents {
		fmt.Fprintf(&b, "{\"text\":%q}\n", d)
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o666); err != nil {
		t.Fatal(err)
	}
}

// documentsOf makes documents of a few lengths, each with its number.
func documentsOf(n, length int) []string {
	r := rand.New(rand.NewPCG(uint64(n), uint64(length)))
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("%d ", i) + strings.Repeat(string(rune('a'+i%26)), r.IntN(2*length))
	}
	return all
}

func settings(t testing.TB, files ...string) Settings {
	return Settings{Files: files, Share: 0.2, Options: Options{Field: "text"}, Tokenizer: newCounting(), Cache: filepath.Join(t.TempDir(), "cache")}
}

func open(t testing.TB, s Settings) *Corpus {
	t.Helper()
	c, err := Open(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// texts are the documents of a split.
func texts(c *Corpus, split Split) []string {
	var all []string
	for _, d := range c.parts[split] {
		tokens := make([]int32, d.length)
		d.shard.copy(tokens, int(d.from))
		b, err := c.tokenizer.Decode(nil, tokens)
		if err != nil {
			panic(err)
		}
		all = append(all, string(b))
	}
	return all
}

// stream are the targets of all sequences, one after the other. Each sequence's tokens are its targets, one later, after the last
// target of the sequence before, or the end of a document if it is the first or aligned.
func stream(t *testing.T, s *Sequences, end int32) []int32 {
	t.Helper()
	var all []int32
	tokens, targets := make([]int32, s.length), make([]int32, s.length)
	for i := range s.Len() {
		before := end
		if len(all) > 0 && !s.aligned {
			before = all[len(all)-1]
		}
		s.Fill(i, tokens, targets, -1)
		if want := append([]int32{before}, targets[:len(targets)-1]...); i < s.Len()-1 && !slices.Equal(tokens, want) {
			t.Fatalf("sequence %d reads %v, want %v", i, tokens, want)
		}
		if slices.Contains(tokens, -1) {
			t.Fatalf("sequence %d reads what is no token: %v", i, tokens)
		}
		all = append(all, targets...)
	}
	for len(all) > 0 && all[len(all)-1] == -1 {
		all = all[:len(all)-1]
	}
	return all
}

// A stream has each document once, with its end, in order, and nothing else. Best fit begins each sequence with a document, keeps
// the beginning of each document once, and counts what it drops.
func TestPacking(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := &Corpus{tokenizer: newCounting()}
		w := newShardWriter(rapid.SampledFrom([]int{257, 70000}).Draw(rt, "vocabulary"))
		var want []string
		for i, n := range rapid.SliceOfN(rapid.IntRange(1, 40), 1, 60).Draw(rt, "lengths") {
			text := strings.Repeat(string(rune('A'+i)), n)
			tokens, _ := tokenizer.Bytes{}.Encode(nil, []byte(text))
			w.add(tokens, hashText([]byte(text)), n)
			want = append(want, text)
		}
		s, err := parseShard(w.encode([keySize]byte{1}, true, 0), [keySize]byte{1})
		if err != nil {
			rt.Fatal(err)
		}
		c.parts[Train] = c.documents([]*shard{s})
		length := rapid.IntRange(2, 50).Draw(rt, "length")
		const end = 256
		split := func(tokens []int32) (all []string) {
			for len(tokens) > 0 {
				n := slices.Index(tokens, end)
				if n < 0 {
					n = len(tokens)
				}
				text, _ := tokenizer.Bytes{}.Decode(nil, tokens[:n])
				all, tokens = append(all, string(text)), tokens[min(n+1, len(tokens)):]
			}
			return all
		}
		lossless := c.Stream(Train, length)
		all := stream(t, lossless, end)
		if all[len(all)-1] != end || !slices.Equal(split(all), want) || lossless.Cropped() != 0 {
			rt.Fatalf("%q, want %q", split(all), want)
		}
		fit := c.BestFit(Train, length)
		all = stream(t, fit, end)
		var got []string
		for row := range slices.Chunk(all, length) {
			got = append(got, split(row)...)
		}
		if len(got) != len(want) {
			rt.Fatalf("%q, of %q", got, want)
		}
		slices.Sort(got) // as the first letters are those of want
		cropped := 0
		for i, text := range want {
			if !strings.HasPrefix(text, got[i]) || got[i] == "" {
				rt.Fatalf("%q of %q", got[i], text)
			}
			cropped += len(text) - len(got[i])
		}
		if int64(cropped) != fit.Cropped() {
			rt.Fatalf("%d tokens are missing, Cropped says %d", cropped, fit.Cropped())
		}
	})
}

// An epoch shows each sequence once. The order is another in each epoch and for each seed, and it is fixed.
func TestOrder(t *testing.T) {
	for _, n := range []uint64{1, 2, 3, 5, 16, 17, 1000} {
		seen := make([]bool, n)
		for i := range n {
			p := permuted(keyOf(1, 2), i, n)
			if p >= n || seen[p] {
				t.Fatalf("%d of %d goes to %d again", i, n, p)
			}
			seen[p] = true
		}
	}
	order := func(seed, epoch uint64) (all []uint64) {
		for i := range uint64(1000) {
			all = append(all, permuted(keyOf(seed, epoch), i, 1000))
		}
		return all
	}
	// A fixed point is as likely as anywhere: 1 is expected of n.
	for _, other := range [][]uint64{order(1, 1), order(2, 0), order(0, 1), order(0, 0)} {
		same := 0
		for i, p := range order(1, 0) {
			if other[i] == p {
				same++
			}
		}
		if same > 8 {
			t.Errorf("two orders agree in %d of 1000 places", same)
		}
	}
	if got, want := fmt.Sprint(order(1, 0)[:8]), "[16 431 878 184 553 287 493 592]"; got != want {
		t.Errorf("a run with seed 1 sees %v first, and saw %v: no run could resume", got, want)
	}
}

// Where a sequence of 1000 goes is uniform, and independent of where its neighbour goes: chi-square over 10 by 10 parts.
func TestOrderIsRandom(t *testing.T) {
	var counts [10][10]float64
	const draws = 20000
	for seed := range uint64(draws) {
		key := keyOf(seed, 0)
		counts[permuted(key, 7, 1000)/100][permuted(key, 8, 1000)/100]++
	}
	x, expected := 0.0, draws/100.0
	for _, row := range counts {
		for _, c := range row {
			x += (c - expected) * (c - expected) / expected
		}
	}
	if x < 60 || x > 150 { // 99 degrees of freedom: 3.4 standard deviations below, and above
		t.Errorf("chi-square is %.0f with 99 degrees of freedom", x)
	}
}

// The share is held out by the text alone: what comes or goes moves no other document.
func TestHeldOut(t *testing.T) {
	folder := t.TempDir()
	all := documentsOf(2000, 20)
	write(t, filepath.Join(folder, "a.jsonl"), all[:1000])
	write(t, filepath.Join(folder, "b.jsonl"), all[1000:])
	both, one := open(t, settings(t, folder)), open(t, settings(t, folder+"/b.jsonl"))
	if n := len(both.parts[HeldOut]); n < 330 || n > 470 { // 400 are expected, with a standard deviation of 18
		t.Errorf("%d of 2000 are held out, want a fifth", n)
	}
	held := texts(both, HeldOut)
	for _, text := range texts(one, HeldOut) {
		if !slices.Contains(held, text) {
			t.Errorf("%q is held out of one file, and not of two", text)
		}
	}
	s := settings(t, folder)
	s.Share = 1e-9
	if c := open(t, s); len(c.parts[HeldOut]) != 1 {
		t.Errorf("%d documents are held out, want at least and at most 1", len(c.parts[HeldOut]))
	}
	s.HeldOut = []string{folder + "/b*"}
	c := open(t, s)
	if !slices.Equal(texts(c, Train), all[:1000]) || !slices.Equal(texts(c, HeldOut), all[1000:]) {
		t.Error("a file that is named is not what is held out")
	}
	for _, x := range []struct {
		documents []string
		files     []string
		want      string
	}{
		{[]string{}, nil, "the corpus is empty: its files have no text"},
		{[]string{"a"}, nil, "every document of the corpus is held out (1 document)"},
		{[]string{"a", "a"}, nil, "every document of the corpus is held out (2 documents)"},
		{[]string{"a"}, []string{folder}, "all files are held out"},
	} {
		write(t, filepath.Join(folder, "c.jsonl"), x.documents)
		s := settings(t, folder+"/c.jsonl")
		s.HeldOut = x.files
		if _, err := Open(s, nil); err == nil || !strings.HasPrefix(err.Error(), x.want) {
			t.Errorf("%q: %v", x.documents, err)
		}
	}
	err := c.CheckLength(Train, 1<<20)
	if err == nil || !strings.Contains(err.Error(), "a sequence has "+format.Count(1<<20)+": add text, or take a smaller task.text.length") {
		t.Error(err)
	}
}

// Text is tokenised once, again if it changes, and the rest of it after it was stopped.
func TestCache(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.jsonl")
	all := documentsOf(400, 100)
	write(t, path, all)
	s := settings(t, path)
	s.shardText = 3000
	made := s.Tokenizer.(counting).texts
	build := func(stopAfter int64) (*Corpus, error) {
		made.Store(0)
		stop := errors.New("stop")
		b, err := newBuilder(s, nil, func(Progress) error {
			if stopAfter > 0 && made.Load() >= stopAfter {
				return stop
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		found, err := Find(s.Files)
		if err != nil {
			t.Fatal(err)
		}
		b.every = -1
		c := &Corpus{tokenizer: s.Tokenizer}
		c.parts[Train], err = c.addSource(b, found[0])
		return c, err
	}
	if _, err := build(100); err == nil || err.Error() != "stop" {
		t.Fatalf("%v after %d texts", err, made.Load())
	}
	c, err := build(0)
	if err != nil || !slices.Equal(texts(c, Train), all) {
		t.Fatalf("what was stopped is continued otherwise: %v", err)
	}
	if n := made.Load(); n > 330 {
		t.Errorf("%d of 400 documents were tokenised, though 100 had been", n)
	}
	again, err := build(0)
	if err != nil || made.Load() != 0 || again.Fingerprint() != c.Fingerprint() || !slices.Equal(texts(again, Train), all) {
		t.Errorf("%d texts were tokenised again, %v", made.Load(), err)
	}
	// A file that was damaged on the disk is made again, with those after it.
	shards, err := filepath.Glob(s.Cache + "/*/*.tokens")
	if err != nil || len(shards) < 5 {
		t.Fatalf("%d shards, %v", len(shards), err)
	}
	b, err := os.ReadFile(shards[2])
	if err != nil {
		t.Fatal(err)
	}
	for _, damage := range [][]byte{b[:len(b)-1], b[:10], {}, append(slices.Clone(b[:90]), append([]byte{b[90] ^ 1}, b[91:]...)...)} {
		if err := errors.Join(os.Remove(shards[2]), os.WriteFile(shards[2], damage, 0o666)); err != nil {
			t.Fatal(err)
		}
		if c, err := build(0); err != nil || made.Load() == 0 || !slices.Equal(texts(c, Train), all) {
			t.Errorf("%d texts were tokenised after damage, %v", made.Load(), err)
		}
	}
	// Other processes read the old file while it changes, and the new one has fewer shards.
	write(t, path, all[:50])
	if err := os.Chtimes(path, time.Time{}, time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if short, err := build(0); err != nil || !slices.Equal(texts(short, Train), all[:50]) || !slices.Equal(texts(c, Train), all) {
		t.Error("a file that changed", err)
	}
	if left, _ := filepath.Glob(s.Cache + "/*/*"); len(left) >= len(shards) {
		t.Errorf("%d files are left, of %d", len(left), len(shards))
	}
}

// Several builders of one file tokenise it once.
func TestBuildTogether(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.jsonl")
	write(t, path, documentsOf(3000, 100))
	s := settings(t, path)
	var wait sync.WaitGroup
	var prints [4]string
	for i := range prints {
		wait.Go(func() {
			if c, err := Open(s, nil); err == nil {
				prints[i] = c.Fingerprint()
				c.Close()
			}
		})
	}
	wait.Wait()
	if n := s.Tokenizer.(counting).texts.Load(); n != 3000 || prints[0] == "" || prints[1] != prints[0] || prints[2] != prints[0] || prints[3] != prints[0] {
		t.Errorf("%d texts tokenised, %q", n, prints)
	}
}

// The error of a tokenizer names the file.
func TestTokenizerFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.jsonl")
	write(t, path, []string{"a", "poison"})
	if _, err := Open(settings(t, path), nil); err == nil || !strings.HasPrefix(err.Error(), path+": poison") {
		t.Error(err)
	}
}

// A process that is killed while it tokenises leaves what the next one continues, and nothing else.
func TestKill(t *testing.T) {
	const variable = "COIL_TEST_TOKENISE"
	if path := os.Getenv(variable); path != "" {
		s := settings(t, path)
		s.Cache, s.shardText = filepath.Join(filepath.Dir(path), "cache"), 1<<16
		c := open(t, s)
		fmt.Println("fingerprint", c.Fingerprint())
		return
	}
	folder := t.TempDir()
	path := filepath.Join(folder, "a.jsonl")
	write(t, path, documentsOf(4000, 1000)) // 4 MB in 60 shards
	r := rand.New(rand.NewPCG(1, 1))
	for kill := range 6 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKill$")
		cmd.Env = append(os.Environ(), variable+"="+path)
		var out bytes.Buffer
		cmd.Stdout = &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if kill < 5 {
			time.Sleep(time.Duration(5+r.IntN(60)) * time.Millisecond)
			cmd.Process.Kill()
			cmd.Wait()
			continue
		}
		if err := cmd.Wait(); err != nil {
			t.Fatal(err, out.String())
		}
		s := settings(t, path) // another cache
		want := open(t, s).Fingerprint()
		if !strings.Contains(out.String(), "fingerprint "+want) {
			t.Errorf("after kills: %s, want %s", out.String(), want)
		}
		if left, _ := filepath.Glob(folder + "/cache/*/" + temporary + "*"); left != nil {
			t.Errorf("left over: %v", left)
		}
	}
}

// FuzzShard: bytes that are no shard are refused, and the sizes of any other are what it holds.
func FuzzShard(f *testing.F) {
	w := newShardWriter(257)
	w.add([]int32{1, 2, 3}, 9, 3)
	w.add([]int32{256}, 8, 1)
	b := w.encode([keySize]byte{}, true, 0)
	f.Add(b, true)
	f.Add(b[:60], false)
	f.Fuzz(func(t *testing.T, b []byte, sum bool) {
		if sum && len(b) >= 4 { // past the checksum
			b = slices.Clone(b)
			copy(b[len(b)-4:], checksum(b[:len(b)-4]))
		}
		s, err := parseShard(b, [keySize]byte{})
		if err != nil {
			return
		}
		for i := range s.documents {
			from, to := s.bounds(i)
			s.copy(make([]int32, to-from), from)
		}
	})
}

// Of a single document the end is held out, as much as the share says: a small file can be tried.
func TestOneDocument(t *testing.T) {
	path := filepath.Join(t.TempDir(), "note.txt")
	text := ""
	for i := range 200 {
		text += fmt.Sprintf("line %d\n", i)
	}
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	s := settings(t, path)
	c := open(t, s)
	f := c.Facts()
	want := int64(float64(len(text)) * s.Share)
	if !f.Divided || f.Documents != [2]int{1, 1} || f.Tokens != [2]int64{int64(len(text)) - want + 1, want + 1} {
		t.Fatalf("%+v, want %d tokens held out of %d", f, want, len(text))
	}
	if got := texts(c, Train)[0] + texts(c, HeldOut)[0]; got != text {
		t.Errorf("the parts are %q", got)
	}
	s.Share = 0.4
	if open(t, s).Fingerprint() == c.Fingerprint() {
		t.Error("another division has the same fingerprint")
	}
	two := filepath.Join(t.TempDir(), "two.jsonl")
	write(t, two, []string{"one document", "and another"})
	if f := open(t, settings(t, two)).Facts(); f.Divided || f.Documents[Train]+f.Documents[HeldOut] != 2 {
		t.Errorf("two documents: %+v", f)
	}
}

// Tokens that nobody has used for long are removed when another file is tokenised, and others stay.
func TestForget(t *testing.T) {
	cache := filepath.Join(t.TempDir(), "cache")
	files := map[string]string{}
	folders := func() map[string]bool {
		all, err := filepath.Glob(filepath.Join(cache, "*", lockName))
		if err != nil {
			t.Fatal(err)
		}
		is := map[string]bool{}
		for _, path := range all {
			is[path] = true
		}
		return is
	}
	use := func(name string) {
		t.Helper()
		if files[name] == "" {
			files[name] = filepath.Join(t.TempDir(), name)
			write(t, files[name], []string{"one " + name, "two " + name, "three"})
		}
		s := settings(t, files[name])
		s.Cache = cache
		open(t, s)
	}
	age := func(path string, by time.Duration) {
		t.Helper()
		at := time.Now().Add(-by)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	use("a.jsonl")
	a := slices.Collect(maps.Keys(folders()))[0]
	age(a, keptFor+time.Hour)
	use("a.jsonl") // which renews it
	use("b.jsonl")
	if is := folders(); len(is) != 2 || !is[a] {
		t.Fatalf("%v are kept", is)
	}
	age(a, keptFor-time.Hour)
	use("c.jsonl")
	if is := folders(); len(is) != 3 {
		t.Fatalf("%v are kept", is)
	}
	age(a, keptFor+time.Hour)
	held, err := os.Open(a)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(held.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	use("d.jsonl") // while another process tokenises into it
	if is := folders(); len(is) != 4 {
		t.Fatalf("%v are kept", is)
	}
	held.Close()
	use("e.jsonl")
	if is := folders(); len(is) != 4 || is[a] {
		t.Errorf("%v are kept", is)
	}
	use("a.jsonl") // is tokenised again
}
