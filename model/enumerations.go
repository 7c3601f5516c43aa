package model

// Norm is how a layer's input is normalised.
type Norm string

// The values of Norm.
const (
	LayerNorm Norm = "layernorm"
	RMSNorm   Norm = "rmsnorm"
	NoNorm    Norm = "none"
)

// Values lists them.
func (Norm) Values() []string { return []string{string(LayerNorm), string(RMSNorm), string(NoNorm)} }

// NormPlace is where the norms stand: before a sublayer, behind the residual sum, or before and behind the sublayer.
type NormPlace string

// The values of NormPlace.
const (
	PreNorm      NormPlace = "pre"
	PostNorm     NormPlace = "post"
	SandwichNorm NormPlace = "sandwich"
)

// Values lists them.
func (NormPlace) Values() []string {
	return []string{string(PreNorm), string(PostNorm), string(SandwichNorm)}
}

// Activation is the nonlinearity of the feed-forward layer.
type Activation string

// The values of Activation.
const (
	GELU   Activation = "gelu"
	ReLU   Activation = "relu"
	SwiGLU Activation = "swiglu"
)

// Values lists them.
func (Activation) Values() []string { return []string{string(GELU), string(ReLU), string(SwiGLU)} }

// Attention is how scores become weights.
type Attention string

// The values of Attention.
const (
	SoftmaxAttention Attention = "softmax"
	HardAttention    Attention = "hard"
)

// Values lists them.
func (Attention) Values() []string { return []string{string(SoftmaxAttention), string(HardAttention)} }

// Positions is how the model knows where a token stands.
type Positions string

// The values of Positions.
const (
	RotaryPositions     Positions = "rotary"
	LearnedPositions    Positions = "learned"
	SinusoidalPositions Positions = "sinusoidal"
	NoPositions         Positions = "none"
)

// Values lists them.
func (Positions) Values() []string {
	return []string{string(RotaryPositions), string(LearnedPositions), string(SinusoidalPositions), string(NoPositions)}
}

// Injection is how the looped block gets its input e in each loop.
type Injection string

// The values of Injection.
const (
	NoInjection     Injection = "none"
	AddInjection    Injection = "add"
	LinearInjection Injection = "linear"
	DecayInjection  Injection = "decay"
)

// Values lists them.
func (Injection) Values() []string {
	return []string{string(NoInjection), string(AddInjection), string(LinearInjection), string(DecayInjection)}
}

// Carry is what a loop begins with.
type Carry string

// The values of Carry.
const (
	StateCarry   Carry = "state"
	RestartCarry Carry = "restart"
)

// Values lists them.
func (Carry) Values() []string { return []string{string(StateCarry), string(RestartCarry)} }

// ResidualScale is what the results of layers are multiplied by before they are added to the state.
type ResidualScale string

// The values of ResidualScale.
const (
	NoResidualScale    ResidualScale = "none"
	LoopsResidualScale ResidualScale = "loops"
)

// Values lists them.
func (ResidualScale) Values() []string {
	return []string{string(NoResidualScale), string(LoopsResidualScale)}
}

// Exit is how a position may leave the loops early.
type Exit string

// The values of Exit.
const (
	NoExit      Exit = "none"
	LearnedExit Exit = "learned"
)

// Values lists them.
func (Exit) Values() []string { return []string{string(NoExit), string(LearnedExit)} }
