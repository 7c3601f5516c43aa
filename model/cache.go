package model

import (
	"fmt"
	"slices"

	"coil/graph"
	"coil/loop"
)

// A Cache keeps the keys and values of positions that a model has processed, so that later passes can attend to them. It has a
// state for each depth, since a layer has different keys and values in every loop.
type Cache struct {
	Architecture loop.Architecture // of the passes that it is for
	Context      int               // positions of a sequence that it has room for

	buffers []graph.Buffer // by depth
}

// allocator is what a cache needs of a backend.
type allocator interface {
	NewBuffer(n int) (graph.Buffer, error)
}

// NewCache allocates a cache of context positions of each of a batch's sequences, for passes at the loop counts of a. Any
// model can have one. With learned positions it has room for no more than were learned.
func (m *Model) NewCache(b allocator, a loop.Architecture, sequences, context int) (*Cache, error) {
	if sequences < 1 || context < 1 {
		return nil, fmt.Errorf("model: a cache of %d positions of %d sequences: both must be at least 1", context, sequences)
	}
	if m.Config.Positions == LearnedPositions && context > m.Length {
		return nil, fmt.Errorf("model: a cache of %d positions, and model.positions = \"learned\" has learned %d; take at most as many", context, m.Length)
	}
	c := &Cache{Architecture: a, Context: context}
	for range a.Depth() {
		keys, err := b.NewBuffer(sequences * context * m.Config.kvColumns())
		if err != nil {
			c.Free()
			return nil, fmt.Errorf("cache of %d positions of %d sequences at depth %d: %w", context, sequences, a.Depth(), err)
		}
		c.buffers = append(c.buffers, keys)
	}
	return c, nil
}

// Free frees the cache's memory. No program that uses it may run after that.
func (c *Cache) Free() {
	for _, b := range c.buffers {
		b.Free()
	}
	c.buffers = nil
}

// Continue makes the pass continue from earlier ones. Each sequence starts at its position in at and attends to the earlier
// positions in c, to which the pass adds the keys and values of its own. Set Architecture and Length before the call, and
// record everything else after it.
//
// Such a pass has no gradients. It runs each layer once at each depth, so it can't record the states that the head reads after
// every loop if there are blocks after the looped one: those would run again after each loop.
func (p *Pass) Continue(c *Cache, at graph.Index) {
	switch a := p.Architecture; {
	case p.t.Training():
		p.t.Fail(fmt.Errorf("model: a pass that continues from a cache has no gradients"))
	case !slices.Equal(a.Sizes, c.Architecture.Sizes) || !slices.Equal(a.Loops, c.Architecture.Loops):
		p.t.Fail(fmt.Errorf("model: a pass of %s continues from a cache of %s", a, c.Architecture))
	case p.Length > c.Context:
		p.t.Fail(fmt.Errorf("model: a pass over %d positions continues from a cache of %d", p.Length, c.Context))
	case !at.Exists():
		p.t.Fail(fmt.Errorf("model: a pass that continues from a cache needs the positions at which its sequences start"))
	}
	p.cache = &continued{at: at, context: c.Context}
	for _, b := range c.buffers {
		p.cache.states = append(p.cache.states, p.t.State(b, c.Context, p.m.Config.kvColumns()))
	}
}

// kvColumns are the columns of the keys and values of a position.
func (c Config) kvColumns() int {
	heads := c.Layout()
	return heads.Columns() - heads.Keys()
}

// continued is the cache of a pass that is being recorded.
type continued struct {
	at      graph.Index
	context int
	states  []graph.Tensor // keys and values of each depth
	depth   int            // of the next layer
}

// attend records attention of qkv to the cache of the next depth.
func (p *Pass) attend(qkv graph.Tensor) graph.Tensor {
	c, w, heads := p.m.Config, p.cache, p.m.Config.Layout()
	y := p.t.Temporary(qkv.Rows, heads.Heads*heads.Width)
	if w.depth == len(w.states) {
		p.t.Fail(fmt.Errorf("model: a pass that continues from a cache runs a layer at a depth of more than %d; blocks after the looped one run once", w.depth))
		return y
	}
	if c.Positions == RotaryPositions {
		p.t.Record(&graph.Rotary{X: qkv.Columns(0, heads.Values()), At: w.at, Width: heads.Width, Length: p.Length, Context: w.context, Base: c.RotaryBase})
	}
	kept := w.states[w.depth]
	w.depth++
	p.t.Record(&graph.CachedAttention{QKV: qkv, Keys: kept.Columns(0, kept.Cols/2), Values: kept.Columns(kept.Cols/2, kept.Cols), Out: y, At: w.at,
		Heads: heads.Heads, KVHeads: heads.KVHeads, Length: p.Length, Scale: float32(c.AttentionScale), Hard: c.Attention == HardAttention})
	return y
}
