package graph

import "fmt"

// Exit is, for each of n positions, the distribution over the T loops after which it leaves a looped model with a gate
// (Ouro, arXiv 2510.25741). Z[T·n,1] has the gate's logits, those of all positions loop after loop: Z_t[i] = Z[t·n+i]. With
// λ_t = 1/(1+exp(−Z_t)), for each position
//
//	P_t = λ_t·Π_{j<t} (1 − λ_j) for t < T,   P_T = Π_{j<T} (1 − λ_j)
//
// and 0 where the target is Ignore. The logits after the last loop are not used. Z and P have no gaps between rows.
type Exit struct {
	Z, P    Tensor
	Targets Index
}

func (o *Exit) Name() string { return "exit" }

// Loops is T.
func (o *Exit) Loops() int { return o.Z.Rows / o.Targets.Len }

func (o *Exit) describe(f *Facts) {
	f.Kind = KindLoss
	f.read(o.Z)
	f.index(o.Targets)
	f.write(o.P)
	f.exact(o.Z, o.P)
}

func (o *Exit) check() error {
	if o.P.overlaps(o.Z) {
		return fmt.Errorf("the output overlaps the operand")
	}
	return checkExit(o.Z, o.P, o.Targets)
}

func checkExit(z, p Tensor, targets Index) error {
	if targets.Len < 1 || z.Rows%targets.Len != 0 {
		return fmt.Errorf("the logits are %s, want [T·n,1] for %d targets", z.Shape(), targets.Len)
	}
	return firstError(want("Z", z, z.Rows, 1), want("P", p, z.Rows, 1), wantDense("Z", z), wantDense("P", p))
}

// ExitLoss is the expected loss over the distribution P of Exit, its entropy, and the gradient that the gate gets from both
// (Stage I of arXiv 2510.25741). Losses[T·n,1] are those after each loop, in the order of Z. For each position
//
//	Loss = Σ_t P_t·Losses_t,   Entropy = −Σ_t P_t·ln P_t
//	DZ = Weight·Scale·∂(Loss − Beta·Entropy)/∂Z
//
// and 0 where the target is Ignore. With U_t = Loss − Beta·Entropy of a position that has come to loop t, so that
// U_T = Losses_T and
//
//	U_t = λ_t·(Losses_t + Beta·ln λ_t) + (1 − λ_t)·(U_{t+1} + Beta·ln(1 − λ_t))
//
// the gradient is DZ_t = Weight·Scale·P_t·(1 − λ_t)·(Losses_t + Beta·Z_t − U_{t+1}), and DZ_T = 0. Loss and Entropy are
// [n,1]; no tensor has gaps between rows.
type ExitLoss struct {
	Z, P, Losses  Tensor
	Targets       Index
	Loss, Entropy Tensor
	DZ            Tensor
	Beta, Weight  float32
	Scale         Scalar
}

func (o *ExitLoss) Name() string { return "exit loss" }

// Loops is T.
func (o *ExitLoss) Loops() int { return o.Z.Rows / o.Targets.Len }

func (o *ExitLoss) describe(f *Facts) {
	f.Kind = KindLoss
	f.read(o.Z, o.P, o.Losses)
	f.index(o.Targets)
	f.write(o.Loss, o.Entropy, o.DZ)
	f.Scalars = append(f.Scalars, o.Scale)
	f.exact(o.Z, o.P, o.Losses, o.Loss, o.Entropy, o.DZ)
}

func (o *ExitLoss) check() error {
	for _, x := range []Tensor{o.Z, o.P, o.Losses} {
		if o.DZ.overlaps(x) || o.Loss.overlaps(x) || o.Entropy.overlaps(x) {
			return fmt.Errorf("an output overlaps an operand")
		}
	}
	n := o.Targets.Len
	return firstError(checkExit(o.Z, o.P, o.Targets),
		want("losses", o.Losses, o.Z.Rows, 1), want("DZ", o.DZ, o.Z.Rows, 1), want("loss", o.Loss, n, 1), want("entropy", o.Entropy, n, 1),
		wantDense("losses", o.Losses), wantDense("DZ", o.DZ), wantDense("loss", o.Loss), wantDense("entropy", o.Entropy))
}
