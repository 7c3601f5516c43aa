package tokenizer

// heap gives its items in order.
type heap[T any] struct {
	items []T
	less  func(a, b T) bool
}

// init orders items that were appended without push.
func (h *heap[T]) init() {
	for i := len(h.items)/2 - 1; i >= 0; i-- {
		h.down(i)
	}
}

func (h *heap[T]) push(x T) {
	h.items = append(h.items, x)
	for i := len(h.items) - 1; i > 0; {
		up := (i - 1) / 2
		if !h.less(h.items[i], h.items[up]) {
			break
		}
		h.items[i], h.items[up] = h.items[up], h.items[i]
		i = up
	}
}

// pop removes the first item. There must be one.
func (h *heap[T]) pop() T {
	first := h.items[0]
	last := len(h.items) - 1
	h.items[0] = h.items[last]
	h.items = h.items[:last]
	h.down(0)
	return first
}

func (h *heap[T]) down(i int) {
	for {
		k := 2*i + 1
		if k >= len(h.items) {
			return
		}
		if k+1 < len(h.items) && h.less(h.items[k+1], h.items[k]) {
			k++
		}
		if !h.less(h.items[k], h.items[i]) {
			return
		}
		h.items[i], h.items[k] = h.items[k], h.items[i]
		i = k
	}
}
