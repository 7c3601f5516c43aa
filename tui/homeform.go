package tui

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"coil/loop"
	"coil/run"

	tea "github.com/charmbracelet/bubbletea"
)

// Field is a value of the form of a new run. Its name is that of the flag of coil train.
type Field int

const (
	FieldPreset Field = iota
	FieldModel
	FieldTask
	FieldBackend
	FieldSteps
	FieldSeed
	FieldRate
	fieldCount
)

// Fields is how many there are.
const Fields = int(fieldCount)

var fieldNames = [Fields]string{"preset", "model", "task", "backend", "steps", "seed", "rate"}

func (f Field) String() string { return fieldNames[f] }

// Draft is the values of the form, as texts.
type Draft [Fields]string

// Changed are the fields that differ from those of the preset.
func (d Draft) Changed(preset Draft) []Field {
	var changed []Field
	for f := FieldModel; f < fieldCount; f++ {
		if d[f] != preset[f] {
			changed = append(changed, f)
		}
	}
	return changed
}

// HomePreset is a preset, with the values of the form that it stands for.
type HomePreset struct {
	Name, About string
	Values      Draft
}

// HomeBackend is a choice of backend.
type HomeBackend struct {
	Name      string
	Available bool
	Text      string // what it is, or why it is not available
}

// Plan is what the command line says of a draft.
type Plan struct {
	Errors   [Fields]string // what is wrong with each value, "" if nothing is
	Other    []string       // what is wrong besides
	Warnings []string
	Setup    run.Setup // the model and its costs, if nothing is wrong
}

// err is the first error of a draft, and its field, or −1.
func (p Plan) err() (string, Field) {
	for f, text := range p.Errors {
		if text != "" {
			return text, Field(f)
		}
	}
	if len(p.Other) > 0 {
		return p.Other[0], -1
	}
	return "", -1
}

// form has the values of a new run, and the results of checking them.
type form struct {
	draft    Draft
	presets  []HomePreset
	into     string // the folder for --out, if it must be given
	backends []HomeBackend
	field    Field // that has the cursor

	plan       Plan
	planOf     Draft // what plan is of
	checked    bool  // plan is of something
	checking   bool
	memory     string
	memoryErr  error
	memoryOf   Draft
	background bool // how to start
	starting   bool // as soon as the draft is checked
}

func (f *form) begin(presets []HomePreset, out string) {
	f.presets, f.into = presets, out
	if len(presets) > 0 {
		f.draft = presets[0].Values
	}
	f.field = FieldModel
}

// preset is the one that the draft names.
func (f *form) preset() HomePreset {
	i := slices.IndexFunc(f.presets, func(p HomePreset) bool { return p.Name == f.draft[FieldPreset] })
	if i < 0 {
		return HomePreset{}
	}
	return f.presets[i]
}

// command is the command line, after coil, that trains the draft.
func (f *form) command() []string {
	args := []string{"train", "--preset", f.draft[FieldPreset]}
	for _, c := range f.draft.Changed(f.preset().Values) {
		args = append(args, "--"+c.String()+"="+f.draft[c])
	}
	if f.into != "" {
		args = append(args, "--out="+f.into)
	}
	return args
}

// current reports whether plan is of the draft.
func (f *form) current() bool { return f.checked && f.planOf == f.draft }

// checkedDraft and plannedMemory are the results of checking a draft.
type (
	checkedDraft struct {
		of   Draft
		plan Plan
	}
	plannedMemory struct {
		of   Draft
		text string
		err  error
	}
)

// check starts checking the draft. If a check is running, this one follows it.
func (m *Home) check() tea.Cmd {
	if m.checking || m.current() && m.memoryOf == m.draft {
		return nil
	}
	m.checking = true
	of, check := m.draft, m.o.Check
	return func() tea.Msg { return checkedDraft{of, check(of)} }
}

func (m *Home) takeCheck(c checkedDraft) tea.Cmd {
	m.plan, m.planOf, m.checked, m.dirty = c.plan, c.of, true, true
	if c.of != m.draft {
		m.checking = false
		return m.check()
	}
	wrong, field := m.plan.err()
	if m.starting {
		m.starting = false
		if wrong == "" {
			return m.start()
		}
		if field >= 0 {
			m.field = field
		}
		m.say("not started: %s", wrong)
	}
	if wrong != "" {
		m.checking, m.memory, m.memoryErr, m.memoryOf = false, "", nil, m.draft
		return nil
	}
	plan := m.o.Memory
	return func() tea.Msg {
		text, err := plan(c.of)
		return plannedMemory{c.of, text, err}
	}
}

func (m *Home) takeMemory(p plannedMemory) tea.Cmd {
	m.checking, m.dirty = false, true
	m.memory, m.memoryErr, m.memoryOf = p.text, p.err, p.of
	return m.check()
}

// set gives a field another value.
func (m *Home) set(f Field, value string) tea.Cmd {
	if f == FieldPreset {
		m.setPreset(value)
	} else {
		m.draft[f] = value
	}
	m.starting = false
	return m.check()
}

// setPreset takes another preset. What was typed stays; the other values are those of the new preset.
func (m *Home) setPreset(name string) {
	old := m.preset().Values
	m.draft[FieldPreset] = name
	values := m.preset().Values
	for f := FieldModel; f < fieldCount; f++ {
		if m.draft[f] == old[f] {
			m.draft[f] = values[f]
		}
	}
}

func (m *Home) resetForm() tea.Cmd {
	m.draft = m.preset().Values
	return m.check()
}

func (m *Home) clearField() tea.Cmd {
	if m.choices(m.field) != nil {
		return nil
	}
	return m.set(m.field, "")
}

func (m *Home) moveField(by int) tea.Cmd {
	m.field = (m.field + Field(by%Fields) + fieldCount) % fieldCount
	return nil
}

// choices are the values that a field can have, nil for one into which one types.
func (m *Home) choices(f Field) []string {
	var names []string
	switch f {
	case FieldPreset:
		for _, p := range m.presets {
			names = append(names, p.Name)
		}
	case FieldTask:
		return m.o.Tasks
	case FieldBackend:
		names = append(names, "auto", "cpu", "metal")
	}
	return names
}

// nudge takes the next value, or the one before.
func (m *Home) nudge(by int) tea.Cmd {
	value := m.draft[m.field]
	if all := m.choices(m.field); all != nil {
		i := slices.Index(all, value)
		return m.set(m.field, all[(i+by+len(all))%len(all)])
	}
	switch m.field {
	case FieldModel:
		if a, err := loop.Parse(value); err == nil {
			return m.set(m.field, strings.ReplaceAll(a.WithCount(max(1, a.Count()+by)).String(), "⊗", "x"))
		}
	case FieldSteps:
		if n, err := strconv.Atoi(value); err == nil {
			return m.set(m.field, strconv.Itoa(max(1, n+100*by)))
		}
	case FieldSeed:
		if n, err := strconv.ParseUint(value, 10, 64); err == nil && (by > 0 && n < math.MaxUint64 || by < 0 && n > 0) {
			return m.set(m.field, strconv.FormatUint(n+uint64(by), 10))
		}
	case FieldRate:
		if x, err := strconv.ParseFloat(value, 64); err == nil {
			return m.set(m.field, strconv.FormatFloat(x*math.Pow(2, float64(by)), 'g', 4, 64))
		}
	}
	return nil
}

// longestValue is how many characters a value may have.
const longestValue = 60

// typed handles a key that is typed into the value, or chooses the next value that starts with it.
func (m *Home) typed(msg tea.KeyMsg) tea.Cmd {
	value := []rune(m.draft[m.field])
	all := m.choices(m.field)
	switch {
	case all != nil:
		i := slices.Index(all, string(value))
		for n := range all {
			if next := all[(i+1+n)%len(all)]; msg.Type == tea.KeyRunes && strings.HasPrefix(next, strings.ToLower(string(msg.Runes))) {
				return m.set(m.field, next)
			}
		}
	case msg.Type == tea.KeyBackspace && len(value) > 0:
		return m.set(m.field, string(value[:len(value)-1]))
	case msg.Type == tea.KeyRunes && !msg.Alt:
		for _, r := range msg.Runes {
			if unicode.IsPrint(r) && r != ' ' && len(value) < longestValue {
				value = append(value, r)
			}
		}
		return m.set(m.field, string(value))
	}
	return nil
}

// paste takes pasted text into the value.
func (m *Home) paste(text []rune) tea.Cmd {
	if m.popup != nil || m.help || m.choices(m.field) != nil {
		return m.say("pasted text is ignored here")
	}
	return m.typed(tea.KeyMsg{Type: tea.KeyRunes, Runes: text})
}

func (m *Home) startHere() tea.Cmd {
	m.background = false
	return m.start()
}

func (m *Home) startInBackground() tea.Cmd {
	m.background = true
	return m.start()
}

// start trains the draft, as soon as it is checked and if nothing is wrong with it.
func (m *Home) start() tea.Cmd {
	if !m.current() {
		m.starting = true
		m.say("checking …")
		return m.check()
	}
	wrong, field := m.plan.err()
	if field >= 0 {
		m.field = field
	}
	if wrong == "" && m.memoryOf == m.draft && m.memoryErr != nil {
		wrong = m.memoryErr.Error()
	}
	switch {
	case wrong != "":
		return m.say("not started: %s", wrong)
	case m.background:
		return m.do("start in the background", append(m.command(), "--detach")...)
	}
	return m.onTerminal(m.command()...)
}

// formMouse handles the mouse on the form.
func (m *Home) formMouse(msg tea.MouseMsg, by int) tea.Cmd {
	m.inForm = true
	if by != 0 {
		return m.moveField(by)
	}
	row := m.formed.first + Field(msg.Y-m.formed.rows)
	if msg.Button == tea.MouseButtonLeft && msg.Y >= m.formed.rows && msg.Y < m.formed.end && row < fieldCount {
		m.field = row
	}
	return nil
}
