package config

import (
	"fmt"

	"coil/config/schema"
)

// Read lays a TOML document over c; source is how errors call it. The error joins all that is wrong with the keys of the
// document, each with its line; what does not go together is left to [Config.Check], whose errors Lines locates.
func (c *Config) Read(source string, text []byte) (*schema.Lines, error) {
	return schema.Decode(source, text, c)
}

// Parse is Read without the lines.
func (c *Config) Parse(source string, text []byte) error {
	_, err := c.Read(source, text)
	return err
}

// Begin makes c what the preset of that name is: a document with preset = "…" is laid over it.
func (c *Config) Begin(preset string) (err error) {
	*c, err = Preset(preset)
	return err
}

// Stored reads the configuration of a run or an experiment, which coil has written. It is one with all keys, so if some are
// missing they are younger than the document, and get the value by which coil did what it did before it had them. source is
// how errors call the document.
func Stored(source string, text []byte) (Config, error) {
	c := Unwritten()
	lines, err := c.Read(source, text)
	if err != nil {
		return c, err
	}
	if err := c.Check(); err != nil {
		located := lines.Locate(err)
		if located == err {
			located = fmt.Errorf("%s: %w", source, err)
		}
		return c, located
	}
	return c, nil
}

// Unwritten is what a stored configuration means by the keys that are not in it. It differs from [Default] in four keys,
// which had other defaults in earlier versions.
func Unwritten() Config {
	c := Default()
	c.Model.InitStd = 0.02
	c.Train.Steps, c.Train.Rate, c.Train.Warmup = 1000, 1e-3, 100
	return c
}

// Encode writes c as TOML with every key, and the help of each as a comment.
func (c Config) Encode() []byte { return schema.Encode(&c) }
