package run

// A Sample is a held-out example with what the model said to it.
type Sample struct {
	Kind     string `json:"kind"`
	Question string `json:"question"`
	Want     string `json:"want"`
	Said     string `json:"said"`
	Right    bool   `json:"right"` // it said all that was wanted
}
