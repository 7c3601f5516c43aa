package run

// Sample is a held-out example with the model's answer.
type Sample struct {
	Kind     string `json:"kind,omitempty"`
	Question string `json:"question"`
	Want     string `json:"want"`
	Said     string `json:"said"`
	Right    bool   `json:"right"`
}
