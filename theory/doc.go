// Package theory has the constructions behind the theorems on looped transformers as weights, and runs them.
//
// The theorems (Saunshi et al., "Reasoning with latent thoughts: on the power of looped transformers", arXiv 2502.17416;
// for p-hop Sanford, Hsu, Telgarsky, arXiv 2402.09268) say what looped transformers can compute, and their proofs give the
// weights. Several of the printed proofs have errors that break the weights; docs/theory.md lists the corrections, which are
// the ones built here:
//
//	NewLooped       R layers on any schedule as one looped layer
//	NewThought      m tokens of chain of thought by m loops
//	NewComposition  n elements of a finite group composed in ⌈log₂ n⌉ loops
//	NewHops         p-hop in ⌈log₂ p⌉ + 2 loops of one layer
//	NewUnrolled     k⊗L as k·L⊗1 and back
//
// Each is a [Construction]: a [Model], its sizes beside those of the theorem, and examples for which the exact state after
// every loop is known. [Construction.Run] runs them in float32 or float64, with softmax or argmax attention, and returns
// the largest difference from that state. [TrainableComposition] and [TrainableHops] are the same weights as models of package
// model, on the tasks that they solve; [NewLoopedModel] compiles a trained model.
//
// The architecture is that of the proofs. A state has n positions of d numbers, and one layer maps x to
//
//	y_i = x_i + Σ_heads O·Σ_{j≤i} a_ij·V·x_j,   a_i = softmax_j(scale·⟨Q·x_i, K·x_j⟩)
//	z_i = y_i + W₂·relu(W₁·y_i + b₁) + b₂
//
// without norms, without biases in Q, K, V and O, and with scale = 1 rather than 1/√w. Whatever a position knows of its place
// is part of its state. Matrices are sparse, since those of the proofs are mostly zeros.
package theory
