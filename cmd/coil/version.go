package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"

	"coil/backend/cpu"

	"github.com/spf13/cobra"
)

// build is what this program was built from, and runs on.
type build struct {
	Version  string `json:"version"`            // the tag, or what Go makes of the commit; "devel" if neither is known
	Commit   string `json:"commit,omitempty"`   // of git
	Modified bool   `json:"modified,omitempty"` // the sources were not those of the commit
	Go       string `json:"go"`
	System   string `json:"system"`  // "linux/amd64"
	Kernels  string `json:"kernels"` // of the cpu backend: "avx512"
}

// built reads what the Go tool has written into the program.
func built() build {
	b := build{Version: "devel", Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok {
		if v := strings.Trim(info.Main.Version, "()"); v != "" {
			b.Version = v
		}
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				b.Commit = s.Value
			case "vcs.modified":
				b.Modified = s.Value == "true"
			}
		}
	}
	return b
}

// version is what this coil calls itself in reports: its version, and the commit that it was built from.
func version() string {
	b := built()
	s := b.Version
	if b.Commit != "" {
		s += " revision " + b.Commit
	}
	if b.Modified {
		s += " modified true"
	}
	return s + " " + b.Go
}

func newVersion() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version, the commit, and the kernels that this processor supports",
		Example: `  coil version
  coil version --json
  coil --version`,
		Args: exactArgs(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return printVersion(cmd.OutOrStdout(), asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printVersion(w io.Writer, asJSON bool) error {
	b := built()
	if c, err := cpu.New(cpu.Options{}); err != nil {
		b.Kernels = "none: " + err.Error()
	} else {
		b.Kernels = c.Info().Kernels
		c.Close()
	}
	if asJSON {
		return writeJSON(w, b)
	}
	fmt.Fprintf(w, "coil     %s\n", b.Version)
	if b.Commit != "" {
		modified := ""
		if b.Modified {
			modified = ", with changes"
		}
		fmt.Fprintf(w, "commit   %s%s\n", b.Commit, modified)
	}
	fmt.Fprintf(w, "kernels  %s\n", b.Kernels)
	_, err := fmt.Fprintf(w, "go       %s %s\n", b.Go, b.System)
	return err
}
