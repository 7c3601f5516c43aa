package task

// igsmSampler draws problems by the law that IGSM describes.
type igsmSampler struct {
	*igsm
	rng      rng
	question question // the necessary definitions first, each after those that it is made of

	w0, w1      int      // fewest and most entities of a level
	extra, room []int    // operations added to a definition; the definitions that have room for more
	templates   []uint64 // of the definitions
	values      []int    // and theirs
	counted     []bool   // definitions, among those that another needs
	answers     []int32
	entities    []int // of each level
	letters     []int // [levels, Width]: those of each level's entities
	edges       []int // names of the graph's edges
	others      []int // and of those that it has not
	independent []int // distractors made of distractors only
}

func (t *igsm) sampler() *igsmSampler {
	e, possible := t.Edges, (t.Levels-1)*t.Width*t.Width
	return &igsmSampler{igsm: t,
		question: question{definitions: make([]definition, 0, e), order: make([]int, 0, e), asked: make([]int, 0, e)},
		extra:    make([]int, e), room: make([]int, 0, e), templates: make([]uint64, e), values: make([]int, e),
		counted: make([]bool, e), answers: make([]int32, 0, e),
		entities: make([]int, t.Levels), letters: make([]int, t.Levels*t.Width),
		edges: make([]int, 0, possible), others: make([]int, 0, possible), independent: make([]int, 0, e)}
}

func (s *igsmSampler) Sample(seed, index uint64, split Split, ex *Example) {
	s.rng.seed(seed, index, kindStream)
	kind := 0
	if split == HeldOut {
		kind = int(s.rng.below(uint64(s.trained)))
	} else {
		for x := s.rng.below(s.kinds[s.trained-1].end); s.kinds[kind].end <= x; {
			kind++
		}
	}
	s.SampleKind(seed, index, split, kind, ex)
}

func (s *igsmSampler) SampleKind(seed, index uint64, split Split, kind int, ex *Example) {
	s.rng.seed(seed, index, questionStream+uint64(kind))
	ops := s.drawOperations(s.kinds[kind], split)
	for {
		e := s.necessary(ops)
		if ops >= leastHeldOut && !inSplit(s.template(ops), split) {
			continue
		}
		s.rest(e)
		if s.fits(&s.question) {
			break
		}
	}
	s.answer(split)
	s.write(&s.question, s.answers, ex)
	ex.Kind = kind
}

func (s *igsmSampler) drawOperations(kind igsmKind, split Split) int {
	if kind.operations > 0 {
		return kind.operations
	}
	begin := kind.train
	if split == HeldOut {
		begin = kind.held
	}
	return s.igsm.operations(begin + s.rng.below(kind.end-begin))
}

// upTo returns a uniform number from 1 to n.
func (s *igsmSampler) upTo(n int) int { return 1 + s.pick(n) }

// pick returns a uniform number below n.
func (s *igsmSampler) pick(n int) int { return int(s.rng.below(uint64(n))) }

func (s *igsmSampler) coin() bool { return s.rng.pcg.Uint64()>>63 != 0 }

// shuffle puts v in random order.
func (s *igsmSampler) shuffle(v []int) {
	for i := len(v) - 1; i > 0; i-- {
		j := s.pick(i + 1)
		v[i], v[j] = v[j], v[i]
	}
}

// necessary draws sizes and the necessary definitions, without names and the constants' values. It returns the number
// of edges.
func (s *igsmSampler) necessary(ops int) (e int) {
	m, e := s.sizes(ops)
	s.question.definitions = s.question.definitions[:m]
	s.question.asked = append(s.question.asked[:0], m-1)
	s.addOperations(ops - m)
	for i := range m {
		s.necessaryDefinition(i)
	}
	return e
}

// sizes draws the number of necessary definitions, and of the graph's edges and the entities of its levels.
func (s *igsmSampler) sizes(ops int) (m, e int) {
	least := s.definitionsFor(ops) // with fewer, there cannot be that many operations
	for m < least {
		n := max(s.upTo(ops), s.upTo(ops))
		m = n + s.pick(ops-n+1)
	}
	for e < least {
		a, b := s.width(ops), s.width(ops)
		s.w0, s.w1 = min(a, b), max(a, b)
		fewest := (s.Levels - 1) * s.w0
		e = fewest + min(s.pick(s.Edges-fewest+1), s.pick(s.Edges-fewest+1))
		e = min(e, (s.Levels-1)*s.w1*s.w1)
	}
	return min(m, e), e
}

func (s *igsmSampler) width(ops int) int {
	weights := s.widths[ops]
	x := s.rng.below(weights[len(weights)-1])
	w := 0
	for weights[w] <= x {
		w++
	}
	return 2 + w
}

// addOperations gives n operations, in addition to the one that each has, to random necessary definitions that have room.
func (s *igsmSampler) addOperations(n int) {
	m := len(s.question.definitions)
	clear(s.extra[:m])
	s.room = s.room[:0]
	for i := 2; i < m; i++ {
		s.room = append(s.room, i)
	}
	for range n {
		k := s.pick(len(s.room))
		i := s.room[k]
		s.extra[i]++
		if 1+s.extra[i] == s.mostOperations(i) {
			s.room[k] = s.room[len(s.room)-1]
			s.room = s.room[:len(s.room)-1]
		}
	}
}

// necessaryDefinition draws definition i: from the one before it, which would otherwise not be needed, from earlier ones, and a
// constant.
func (s *igsmSampler) necessaryDefinition(i int) {
	n := s.extra[i] + 2 // operands
	if s.extra[i] == 0 && s.coin() {
		n = 1
	}
	d := &s.question.definitions[i]
	*d = definition{}
	if n > i { // there is no choice
		for k := range i {
			d.add(k)
		}
		s.combine(d, true)
		return
	}
	d.add(i - 1)
	constant := n == mostOperands || n > 1 && s.coin()
	n--
	if constant {
		n--
	} else if n > 0 && s.pick(i) < n { // the constant may still be one of the n operands, out of i
		constant = true
		n--
	}
	s.operands(d, n, nil, i-1)
	s.combine(d, constant)
}

// operands adds n operands to d: random ones of from, or of the definitions before one if from is nil.
func (s *igsmSampler) operands(d *definition, n int, from []int, before int) {
	for n > 0 {
		var o int
		if from != nil {
			o = from[s.pick(len(from))]
		} else {
			o = s.pick(before)
		}
		if !d.has(o) {
			d.add(o)
			n--
		}
	}
}

func (d *definition) has(operand int) bool {
	for _, o := range d.operands[:d.quantities] {
		if o == operand {
			return true
		}
	}
	return false
}

func (d *definition) add(operand int) {
	d.operands[d.quantities] = operand
	d.quantities++
}

// combine draws how d's operands, and a constant, are put together.
func (s *igsmSampler) combine(d *definition, constant bool) {
	s.shuffle(d.operands[:d.quantities])
	d.minus = d.quantities == 2 && s.coin()
	d.constant = noConstant
	if constant {
		d.constant = summand
		if d.quantities > 0 && s.coin() {
			d.constant = factor
		}
	}
}

// template is the hash of the solution template with this number of operations.
func (s *igsmSampler) template(ops int) uint64 {
	last := s.question.last()
	s.makeTemplates(last + 1)
	return solutionTemplate(s.templates[last], ops)
}

// makeTemplates sets the templates of the first n definitions.
func (s *igsmSampler) makeTemplates(n int) {
	for i := range n {
		s.templates[i] = s.question.definitions[i].template(s.templates)
	}
}

// rest draws the other parts of a problem with e edges.
func (s *igsmSampler) rest(e int) {
	s.graph(e)
	s.distractors(e)
	definitions := s.question.definitions
	s.question.order = s.question.order[:e]
	for i := range definitions {
		d := &definitions[i]
		d.name = s.edges[i]
		switch d.constant {
		case summand:
			d.value = s.pick(s.Modulus)
		case factor:
			d.value = s.upTo(s.Modulus - 1)
		}
		s.question.order[i] = i
	}
	s.shuffle(s.question.order)
}

// graph draws the graph and the letters of its entities, and sets edges in random order.
func (s *igsmSampler) graph(e int) {
	for i := range s.entities {
		s.entities[i] = s.w0
	}
	for share := s.rng.pcg.Uint64(); ; {
		least, most := 0, 0
		for i, n := range s.entities[1:] {
			least += n
			most += n * s.entities[i]
		}
		if least == e || most >= e && s.rng.pcg.Uint64() >= share || !s.addEntity() {
			break
		}
	}
	for i := range s.entities {
		letters := s.letters[i*s.Width:][:s.Width]
		for k := range letters {
			letters[k] = k
		}
		s.shuffle(letters)
	}
	s.edges, s.others = s.edges[:0], s.others[:0]
	for i, n := range s.entities[1:] {
		for b := range n {
			parent := s.pick(s.entities[i])
			for a := range s.entities[i] {
				name := (i*s.Width+s.letters[i*s.Width+a])*s.Width + s.letters[(i+1)*s.Width+b]
				if a == parent {
					s.edges = append(s.edges, name)
				} else {
					s.others = append(s.others, name)
				}
			}
		}
	}
	for len(s.edges) < e {
		k, last := s.pick(len(s.others)), len(s.others)-1
		s.edges = append(s.edges, s.others[k])
		s.others[k] = s.others[last]
		s.others = s.others[:last]
	}
	s.shuffle(s.edges)
}

// addEntity adds an entity to a random level that has not w1, and reports whether there is one.
func (s *igsmSampler) addEntity() bool {
	free := 0
	for _, n := range s.entities {
		if n < s.w1 {
			free++
		}
	}
	if free == 0 {
		return false
	}
	k := s.pick(free)
	for i, n := range s.entities {
		if n == s.w1 {
			continue
		}
		if k == 0 {
			s.entities[i]++
			break
		}
		k--
	}
	return true
}

// distractors draws definitions for the edges that are not necessary, up to e in all.
func (s *igsmSampler) distractors(e int) {
	m := len(s.question.definitions)
	s.question.definitions = s.question.definitions[:e]
	s.independent = s.independent[:0]
	for i := m; i < e; i++ {
		d := &s.question.definitions[i]
		*d = definition{}
		independent := s.coin()
		pool := i
		if independent {
			pool = len(s.independent)
		}
		n := 1
		for n < min(pool+1, s.Operands) && s.coin() {
			n++
		}
		constant := n > pool || n == mostOperands || s.coin()
		if constant {
			n--
		}
		if independent {
			s.operands(d, n, s.independent, 0)
			s.independent = append(s.independent, i)
		} else {
			s.operands(d, n, nil, i)
		}
		s.combine(d, constant)
	}
}

// answer draws the other questions, if any, and computes the answers that the split shows.
func (s *igsmSampler) answer(split Split) {
	q := &s.question
	necessary := q.last()
	n := necessary + 1 // definitions to compute
	if s.Ask == askEvery {
		n = len(q.definitions)
		s.makeTemplates(n)
		q.asked = q.asked[:0]
		for i := range q.definitions {
			if i != necessary {
				q.asked = append(q.asked, i)
			}
		}
		s.shuffle(q.asked)
		q.asked = append(q.asked, necessary)
	}
	for i := range n {
		s.values[i] = modulo(q.definitions[i].compute(s.values), s.Modulus)
	}
	s.answers = s.tell(q, split, s.templates, s.values, s.counted, s.answers[:0])
}

// modulo is the remainder of x from 0 to m−1, also of a negative x.
func modulo(x, m int) int { return (x%m + m) % m }
