package graph

import "fmt"

// Ignore is the target of a position without loss.
const Ignore = -1

// CrossEntropy compares each row of Logits[n,V] with its target class t:
//
//	Loss[i] = log Σ_j exp(Logits[i,j]) − Logits[i,t],   Correct[i] = 1 if t is the first largest logit, else 0
//	DLogits[i,:] = Weight·Scale·RowWeights[i]·(softmax(Logits[i,:]) − onehot(t))
//
// All three are 0 where the target is Ignore. Each may be missing; DLogits may be Logits. Loss, Correct and RowWeights are
// [n,1]; missing RowWeights count as 1.
// A target that is neither Ignore nor a class is an error of the run. Scale is usually one over the number of targets
// in the batch, so that the loss is their mean.
type CrossEntropy struct {
	Logits        Tensor
	Targets       Index
	RowWeights    Tensor
	Loss, Correct Tensor
	DLogits       Tensor
	Scale         Scalar
	Weight        float32
}

func (o *CrossEntropy) Name() string { return "cross-entropy" }

func (o *CrossEntropy) describe(f *Facts) {
	f.Kind = KindLoss
	f.read(o.Logits, o.RowWeights)
	f.index(o.Targets)
	f.write(o.Loss, o.Correct, o.DLogits)
	f.Scalars = append(f.Scalars, o.Scale)
	f.exact(o.RowWeights, o.Loss, o.Correct)
}

func (o *CrossEntropy) check() error {
	n := o.Logits.Rows
	if o.Targets.Len != n {
		return fmt.Errorf("%d targets for %d rows of logits", o.Targets.Len, n)
	}
	return firstError(wantIf("row weights", o.RowWeights, n, 1), wantDense("row weights", o.RowWeights), wantIf("loss", o.Loss, n, 1), wantIf("correct", o.Correct, n, 1),
		wantDense("loss", o.Loss), wantDense("correct", o.Correct), wantIf("DLogits", o.DLogits, n, o.Logits.Cols))
}
