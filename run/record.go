package run

// The records are what an event carries, by its kind. Their numbers are pointers: nil is a number that the line does not have.
// Any may be NaN or infinite.

// A Train is a report of training: means over the steps since the last report, unless stated otherwise.
type Train struct {
	Loss            *Number `json:"loss,omitempty"` // the first member: see keep
	Accuracy        *Number `json:"accuracy,omitempty"`
	Rate            *Number `json:"lr,omitempty"` // the learning rate of the last step
	GradNorm        *Number `json:"grad_norm,omitempty"`
	Tokens          *Number `json:"tokens,omitempty"` // since the beginning of the run
	Epoch           *Number `json:"epoch,omitempty"`  // how often all sequences of a corpus were seen; only with a corpus
	TokensPerSecond *Number `json:"tokens_per_second,omitempty"`
	Utilization     *Number `json:"mfu,omitempty"`       // model FLOPs in a second, as a share of the device's peak, if that is known
	Seconds         *Number `json:"seconds,omitempty"`   // of training since the beginning, without evaluations, checkpoints and pauses
	DataWait        *Number `json:"data_wait,omitempty"` // the share of training's time, 0 to 1, that was spent waiting for batches

	LoopCount   *Number           `json:"loop_count,omitempty"`  // of the last step, if counts are drawn or scheduled
	Loops       []TrainLoop       `json:"loops,omitempty"`       // of the last step, if every loop has a loss
	Exit        Exit              `json:"exit,omitzero"`         // of a learned exit, in the last step
	Regularizer *Number           `json:"regularizer,omitempty"` // the penalty in the last step
	Cosines     map[string]Number `json:"cosines,omitempty"`     // between neighbouring blocks, by group of weights
	Times       map[string]Number `json:"times,omitempty"`       // shares of a step's time, by kind of operation
	Machine     Machine           `json:"machine,omitzero"`
	Other       map[string]Number `json:"other,omitempty"` // numbers without a member; each is a curve
}

// A TrainLoop is what training reports of one loop of the looped block.
type TrainLoop struct {
	Loop int     `json:"loop"`           // from 1
	Loss *Number `json:"loss,omitempty"` // as if the block had ended after it
	Exit *Number `json:"exit,omitempty"` // the mean probability of leaving after it
}

// An Exit describes a learned exit. With one, the loss of training is the expected loss, without the entropy.
type Exit struct {
	Loop    *Number `json:"loop,omitempty"`    // the mean loop after which a position leaves
	Entropy *Number `json:"entropy,omitempty"` // of the loop, in nats
}

// A Machine is the state of the computer, as far as its system reports it.
type Machine struct {
	Memory      *Number `json:"memory,omitempty"`      // bytes in use
	MemoryPeak  *Number `json:"memory_peak,omitempty"` // bytes, at most so far
	Temperature *Number `json:"temperature,omitempty"` // °C
	Thermal     *Number `json:"thermal,omitempty"`     // 0 nominal, 1 fair, 2 serious, 3 critical
	LowPower    *bool   `json:"low_power,omitempty"`
	OnBattery   *bool   `json:"on_battery,omitempty"`
}

// A Score is how well the model did on held-out examples.
type Score struct {
	Loss     *Number `json:"loss,omitempty"`     // mean over targets
	Accuracy *Number `json:"accuracy,omitempty"` // share of targets that it says
	Exact    *Number `json:"exact,omitempty"`    // share of examples without a mistake

	BitsPerByte *Number `json:"bits_per_byte,omitempty"` // of text
}

// An Eval is an evaluation on held-out examples: the score of all kinds together, and of each if there are several.
type Eval struct {
	Score
	Examples *Number           `json:"examples,omitempty"`
	Kinds    []KindScore       `json:"kinds,omitempty"`
	Loops    []LoopScore       `json:"loops,omitempty"`
	Other    map[string]Number `json:"other,omitempty"` // numbers without a member; each is a curve
	Samples  []Sample          `json:"samples,omitempty"`
	Trace    *Trace            `json:"trace,omitempty"` // of a model that has the weights of a construction
}

// A KindScore is the score of one kind of examples.
type KindScore struct {
	Kind string `json:"kind"`
	Score
}

// A LoopScore is the score as if the looped block had ended after a loop.
type LoopScore struct {
	Loop int `json:"loop"` // from 1
	Score
	// Change is how far the loop moved the residual stream: ‖s_i − s_{i−1}‖ / ‖s_{i−1}‖, where s_i is the state after loop i and
	// s_0 that before the first.
	Change *Number `json:"change,omitempty"`
}

// A Sample is a held-out example with the model's answer.
type Sample struct {
	Kind     string `json:"kind"`
	Loops    int    `json:"loops,omitempty"` // of text: the loop count at which the model continues Question; then it is not Right or wrong
	Question string `json:"question"`
	Want     string `json:"want"`
	Said     string `json:"said"`
	Right    bool   `json:"right"` // the answer is right
}

// A Trace follows an example through the loops, as a table.
type Trace struct {
	About   string     `json:"about"`
	Columns []string   `json:"columns"` // what the rows' labels are, then the name of each column
	Rows    []TraceRow `json:"rows"`
	Note    string     `json:"note,omitempty"` // what came of it
}

// A TraceRow is what the columns hold at a time.
type TraceRow struct {
	Label string      `json:"label"`
	Loop  int         `json:"loop,omitempty"` // after which it is, from 1; 0 if it is of no loop
	Cells []TraceCell `json:"cells"`
}

// A TraceCell is what a column holds.
type TraceCell struct {
	Text  string `json:"text"`
	Below string `json:"below,omitempty"` // a second line
	Tone  int    `json:"tone,omitempty"`  // 0 plain; −1 faint: nothing, or replaced later; from 1 on one of some things that differ
	From  []int  `json:"from,omitempty"`  // the columns, from 0, that it comes from in the row above
}
