package config

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Fixed reports whether the key can't change in a run: the keys of the model, its loops, regularizer and task, and those that
// decide the data. The others, such as the number of steps, may change.
func (c *Config) Fixed(key string) bool {
	table, _, _ := strings.Cut(key, ".")
	return table == "model" || table == "loops" || table == "regularize" ||
		table == "task" && strings.Count(key, ".") == 1 || strings.HasPrefix(key, "task."+string(c.Task.Name)+".") ||
		key == "train.seed" || key == "train.batch" || key == "train.optimizer"
}

// FixedKeys are the fixed keys with their values, texts in quotes.
func (c *Config) FixedKeys() map[string]string {
	fixed := map[string]string{}
	for _, k := range c.Keys() {
		if !c.Fixed(k.Name) {
			continue
		}
		fixed[k.Name] = k.Value()
		if k.Kind() == "text" {
			fixed[k.Name] = strconv.Quote(k.Value())
		}
	}
	return fixed
}

// FixedBefore completes the fixed keys that a checkpoint has: keys of the model, its loops and the regularizer that are younger
// than the checkpoint had the values of [Unwritten].
func FixedBefore(had map[string]string) map[string]string {
	if len(had) == 0 { // from before checkpoints had any
		return had
	}
	all := maps.Clone(had)
	unwritten := Unwritten()
	for key, v := range unwritten.FixedKeys() {
		table, _, _ := strings.Cut(key, ".")
		if _, ok := had[key]; !ok && (table == "model" || table == "loops" || table == "regularize") {
			all[key] = v
		}
	}
	return all
}

// Agrees returns an error that names the first fixed key that has another value than it had in FixedKeys.
func (c *Config) Agrees(had map[string]string) error {
	now := c.FixedKeys()
	had = FixedBefore(had)
	for _, key := range slices.Sorted(maps.Keys(now)) {
		if v, ok := had[key]; ok && v != now[key] {
			return fmt.Errorf("%s = %s, the configuration says %s", key, v, now[key])
		}
	}
	return nil
}
