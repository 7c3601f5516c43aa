package graph

import "fmt"

// want says whether t has the shape, naming the operand if not.
func want(name string, t Tensor, rows, cols int) error {
	if !t.Exists() || t.Rows != rows || t.Cols != cols {
		return fmt.Errorf("%s is %s, want [%d,%d]", name, t.Shape(), rows, cols)
	}
	return nil
}

func wantIf(name string, t Tensor, rows, cols int) error {
	if !t.Exists() {
		return nil
	}
	return want(name, t, rows, cols)
}

func wantAny(name string, t Tensor) error {
	if !t.Exists() {
		return fmt.Errorf("%s is none", name)
	}
	return nil
}

func wantDense(name string, t Tensor) error {
	if t.Exists() && !t.Dense() {
		return fmt.Errorf("%s is strided, want its rows without gaps", name)
	}
	return nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
