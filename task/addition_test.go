package task

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// spell returns the rendered tokens and targets of a sum from its question, as a
// pupil would: on strings.
func spell(question string, order DigitOrder, width, length int) (tokens, targets string) {
	sum := 0
	for operand := range strings.SplitSeq(strings.TrimSuffix(question, "="), "+") {
		n, err := strconv.Atoi(operand)
		if err != nil {
			panic(err)
		}
		sum += n
	}
	answer := strconv.Itoa(sum)
	answer = strings.Repeat("0", width-len(answer)) + answer
	if order == "least" {
		b := []byte(answer)
		slices.Reverse(b)
		answer = string(b)
	}
	tokens = question + answer[:width-1]
	tokens += strings.Repeat("·", length-len(tokens))
	targets = strings.Repeat("_", len(question)-1) + answer
	targets += strings.Repeat("_", length-len(targets))
	return tokens, targets
}

func TestAdditionFollowsTheDefinition(t *testing.T) {
	for _, tt := range []struct {
		c             Addition
		width, length int
		kinds         string
	}{
		{Addition{3, []int{2, 4, 8}, nil, "most"}, 4, 35, "[n=2 n=4 n=8]"},
		{Addition{3, []int{32, 2, 4, 8, 16}, []int{8, 24, 32}, "most"}, 5, 132, "[n=2 n=4 n=8 n=16 n=24 n=32]"},
		{Addition{3, []int{2}, []int{11}, "least"}, 5, 48, "[n=2 n=11]"},
		{Addition{3, []int{2}, []int{10}, "least"}, 4, 43, "[n=2 n=10]"},
		{Addition{2, []int{3, 2}, nil, "least"}, 3, 11, "[n=2 n=3]"},
		{Addition{1, []int{12, 11}, nil, "most"}, 3, 26, "[n=11 n=12]"},
		{Addition{1, []int{11}, nil, "most"}, 2, 23, "[n=11]"},
		{Addition{9, []int{2, 256}, nil, "most"}, 12, 2571, "[n=2 n=256]"},
	} {
		t.Run(fmt.Sprintf("%+v", tt.c), func(t *testing.T) {
			task, err := tt.c.New()
			if err != nil {
				t.Fatal(err)
			}
			if task.Length() != tt.length {
				t.Fatalf("length %d, want %d", task.Length(), tt.length)
			}
			if got := fmt.Sprintln(task.Name(), task.Kinds(), task.Metric()); got != "addition "+tt.kinds+" exact match\n" {
				t.Fatal(got)
			}
			s, ex := task.NewSampler(), NewExample(task)
			for i := range uint64(1000) {
				kind := int(i) % len(task.Kinds())
				s.SampleKind(2, i, Split(i/9%2), kind, &ex)
				got := Render(task, ex.Tokens)
				question, _, _ := strings.Cut(got, "=")
				operands := strings.Split(question, "+")
				if name := task.Kinds()[kind]; name != fmt.Sprintf("n=%d", len(operands)) {
					t.Fatalf("%d operands of kind %s", len(operands), name)
				}
				for _, a := range operands {
					if len(a) != tt.c.Digits {
						t.Fatalf("operand %s", a)
					}
				}
				tokens, targets := spell(question+"=", tt.c.Order, tt.width, tt.length)
				if got != tokens || Render(task, ex.Targets) != targets {
					t.Fatalf("got\n%s\n%s\nwant\n%s\n%s", got, Render(task, ex.Targets), tokens, targets)
				}
			}
		})
	}
}

// The largest sum fills the answer's width and the longest question the length.
func TestAdditionWastesNothing(t *testing.T) {
	for _, c := range []Addition{{3, []int{32}, nil, "most"}, {9, []int{256}, nil, "least"}, {1, []int{11}, nil, "most"}, {1, []int{12}, nil, "most"}} {
		task, err := c.New()
		if err != nil {
			t.Fatal(err)
		}
		ex := NewExample(task)
		operands := make([]uint64, c.Operands[0])
		for i := range operands {
			operands[i] = task.(*addition).limit - 1
		}
		task.(*addition).write(operands, &ex)
		tokens, targets := Render(task, ex.Tokens), Render(task, ex.Targets)
		if strings.HasSuffix(tokens, "·") || strings.HasSuffix(targets, "_") {
			t.Errorf("%+v: padding at the end of %s, %s", c, tokens, targets)
		}
		first := targets[len(tokens[:strings.Index(tokens, "=")])]
		if c.Order == "least" {
			first = targets[len(targets)-1]
		}
		if first == '0' {
			t.Errorf("%+v: the largest answer has a leading zero: %s", c, targets)
		}
	}
}

func TestAdditionDistribution(t *testing.T) {
	task, err := Addition{3, []int{4, 7, 16}, []int{5}, "most"}.New()
	if err != nil {
		t.Fatal(err)
	}
	s, ex := task.NewSampler(), NewExample(task)
	kinds := make([]float64, 4) // 4, 5, 7, 16
	operands := make([]float64, 1000)
	kindAndDigit := make([]float64, 4*10)
	for i := range uint64(30000) {
		s.Sample(6, i, Train, &ex)
		kinds[ex.Kind]++
		k := i % 4 // every kind has an operand 3
		d := ex.Tokens[4*k:][:3]
		operands[100*d[0]+10*d[1]+d[2]]++
		kindAndDigit[10*ex.Kind+int(ex.Tokens[0])]++
	}
	if kinds[1] != 0 {
		t.Errorf("%g training examples of a kind that is only evaluated", kinds[1])
	}
	uniform(t, "trained kinds", slices.Delete(kinds, 1, 2))
	uniform(t, "operands", operands)
	uniform(t, "kinds and first digits", slices.Delete(kindAndDigit, 10, 20))
}

// Within a split the ordered questions are uniform.
func TestAdditionLawWithinSplits(t *testing.T) {
	task, err := Addition{2, []int{2}, nil, "most"}.New()
	if err != nil {
		t.Fatal(err)
	}
	for _, split := range []Split{Train, HeldOut} {
		index := make(map[string]int)
		for a := range uint64(100) {
			for b := range uint64(100) {
				if inSplit(hashSum([]uint64{a, b}), split) {
					index[fmt.Sprintf("%02d+%02d", a, b)] = len(index)
				}
			}
		}
		s, ex := task.NewSampler(), NewExample(task)
		counts := make([]float64, len(index))
		for i := range uint64(10 * len(index)) {
			s.Sample(3, i, split, &ex)
			k, ok := index[Render(task, ex.Tokens[:5])]
			if !ok {
				t.Fatalf("%s is not in the %v split", text(task, ex), split)
			}
			counts[k]++
		}
		uniform(t, split.String(), counts)
	}
}

// The whole space of 2-digit pairs and of five 1-digit operands, order aside: the
// splits are disjoint, make up everything, and 1 in 16 is held out.
func TestAdditionSplit(t *testing.T) {
	for _, tt := range []struct{ limit, n, questions int }{{100, 2, 5050}, {10, 5, 2002}} {
		splits := []map[string]bool{make(map[string]bool), make(map[string]bool)}
		operands := make([]uint64, tt.n)
		ordered := 1
		for range tt.n {
			ordered *= tt.limit
		}
		for code := range ordered {
			for i := range operands {
				operands[i] = uint64(code % tt.limit)
				code /= tt.limit
			}
			split := Train
			if inSplit(hashSum(operands), HeldOut) {
				split = HeldOut
			}
			slices.Sort(operands)
			splits[split][fmt.Sprint(operands)] = true
		}
		train, held := len(splits[Train]), len(splits[HeldOut])
		if train+held != tt.questions { // a question in both would count twice
			t.Errorf("%d + %d questions, want %d in all", train, held, tt.questions)
		}
		share := 1.0 / HeldOutOneIn
		all := float64(tt.questions)
		fits(t, "share", []float64{float64(train), float64(held)}, []float64{all * (1 - share), all * share})
	}
}

func TestAdditionSplitIgnoresOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 1000 {
		operands := make([]uint64, 2+r.IntN(31))
		for i := range operands {
			operands[i] = r.Uint64N(1000)
		}
		h := hashSum(operands)
		r.Shuffle(len(operands), func(i, j int) { operands[i], operands[j] = operands[j], operands[i] })
		if hashSum(operands) != h {
			t.Fatal("the order matters")
		}
		operands[0]++
		if hashSum(operands) == h {
			t.Fatal("another sum has the same hash")
		}
	}
	if hashSum([]uint64{0, 0}) == hashSum([]uint64{0, 0, 0}) {
		t.Error("the number of operands does not matter")
	}
}

func TestCountSums(t *testing.T) {
	for n, want := range map[int]int{2: 55, 3: 220, 4: 715} { // C(n+9, n)
		q := (&addition{limit: 10}).countQuestions(n)
		if q.enough() || q[Train]+q[HeldOut] != want {
			t.Errorf("%d operands of one digit: %v questions, want %d in all", n, q, want)
		}
	}
	if q := (&addition{limit: 10}).countQuestions(5); !q.enough() {
		t.Errorf("5 operands of one digit: only %v questions", q)
	}
}

func TestNewAdditionErrors(t *testing.T) {
	good := Addition{3, []int{2, 4, 8}, nil, "most"}
	for _, tt := range []struct {
		name   string
		change func(c *Addition)
		want   []string
	}{
		{"no digits", func(c *Addition) { c.Digits = 0 }, []string{"addition.digits is 0", "1 to 9"}},
		{"10 digits", func(c *Addition) { c.Digits = 10 }, []string{"addition.digits is 10", "1 to 9"}},
		{"no operands", func(c *Addition) { c.Operands = nil }, []string{"operands = []", "at least one"}},
		{"one operand", func(c *Addition) { c.Operands = []int{4, 1} }, []string{"operands = [4 1]", "2 to 256"}},
		{"many operands", func(c *Addition) { c.Operands = []int{1000} }, []string{"operands = [1000]", "2 to 256"}},
		{"evaluate one", func(c *Addition) { c.Evaluate = []int{1} }, []string{"evaluate = [1]", "2 to 256"}},
		{"twice", func(c *Addition) { c.Operands = []int{2, 4, 2} }, []string{"operands = [2 4 2]", "2 occurs twice"}},
		{"evaluate twice", func(c *Addition) { c.Evaluate = []int{8, 8} }, []string{"evaluate = [8 8]", "8 occurs twice"}},
		{"order", func(c *Addition) { c.Order = "reverse" }, []string{`order is "reverse"`, "most or least"}},
		{"too few questions", func(c *Addition) { c.Digits = 1 }, []string{"digits = 1", "2 operands", "held-out", "at least 100"}},
		{"too few to evaluate", func(c *Addition) { c.Digits, c.Operands, c.Evaluate = 1, []int{8}, []int{3} }, []string{"3 operands", "held-out"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := good
			tt.change(&c)
			task, err := c.New()
			if err == nil || task != nil {
				t.Fatal("no error")
			}
			for _, want := range append(tt.want, "addition") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q lacks %q", err, want)
				}
			}
		})
	}
}

// A task does not see later changes to the slices that configured it.
func TestAdditionCopiesItsConfiguration(t *testing.T) {
	room := []int{8, 2, 7}
	c := Addition{3, room[:2], []int{4}, "most"}
	task, err := c.New()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(room, []int{8, 2, 7}) {
		t.Errorf("NewAddition changed its argument to %v", room)
	}
	c.Operands[0], c.Evaluate[0] = 99, 99
	if got := fmt.Sprint(task.Kinds()); got != "[n=2 n=4 n=8]" {
		t.Error(got)
	}
}

func TestExplainAddition(t *testing.T) {
	for order, want := range map[DigitOrder]string{
		"most": `the sum of 4 numbers in 4 digits, most significant first

  315
+ 120 =  435
+ 045 =  480
+ 824 = 1304

tokens  315+120+045+824=130················
targets _______________1304
`,
		"least": `the sum of 4 numbers in 4 digits, least significant first

  315
+ 120 =  435
+ 045 =  480
+ 824 = 1304

tokens  315+120+045+824=403················
targets _______________4031
`} {
		task, err := Addition{3, []int{2, 4, 8}, nil, order}.New()
		if err != nil {
			t.Fatal(err)
		}
		ex := NewExample(task)
		ex.Kind = 1
		task.(*addition).write([]uint64{315, 120, 45, 824}, &ex)
		var b bytes.Buffer
		if err := task.Explain(&b, ex); err != nil {
			t.Fatal(err)
		}
		if b.String() != want {
			t.Errorf("got\n%s\nwant\n%s", &b, want)
		}
	}
}
