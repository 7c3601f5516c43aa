package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"strings"

	"coil/backend"
	"coil/backend/cpu"

	"github.com/spf13/cobra"
)

// backendFlags choose where to run.
type backendFlags struct {
	name    string
	workers int
}

func (f *backendFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.name, "backend", "auto", "`name` of the backend: cpu, metal, or auto for the best there is")
	cmd.Flags().IntVar(&f.workers, "workers", 0, "`number` of cores that the cpu backend uses; 0 is all")
	cmd.RegisterFlagCompletionFunc("backend", cobra.FixedCompletions([]string{"cpu", "metal", "auto"}, cobra.ShellCompDirectiveNoFileComp))
}

// metalMissing says why there is no Metal backend here.
func metalMissing() string {
	if runtime.GOOS != "darwin" || runtime.GOARCH != "arm64" {
		return fmt.Sprintf("needs a Mac with Apple silicon; this machine is %s/%s", runtime.GOOS, runtime.GOARCH)
	}
	return "this build of coil has no Metal backend"
}

// open starts the backend. It never falls back to another than the one that was asked for.
func (f *backendFlags) open() (backend.Backend, error) {
	switch f.name {
	case "cpu", "auto":
		b, err := cpu.New(cpu.Options{Workers: f.workers})
		if err != nil {
			return nil, usageError{err}
		}
		return b, nil
	case "metal":
		return nil, usageError{fmt.Errorf("--backend metal: %s; there is cpu", metalMissing())}
	}
	return nil, usageError{fmt.Errorf("--backend %s: no such backend; there are cpu, metal and auto", f.name)}
}

// backendStatus is a line of coil backends.
type backendStatus struct {
	Name      string `json:"name"`
	Available bool   `json:"available"`
	Why       string `json:"why,omitempty"` // it is not
	Device    string `json:"device,omitempty"`
	Kernels   string `json:"kernels,omitempty"`
	Workers   int    `json:"workers,omitempty"`
	Memory    int64  `json:"memory_bytes,omitempty"`
	Auto      bool   `json:"auto"` // what auto takes
}

func newBackends() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "backends",
		Short: "List what coil can run on, and why not on what is missing",
		Example: `  coil backends
  coil backends --json
  COIL_CPU=portable coil backends   choose the cpu backend's kernels: avx512, avx2, neon or portable`,
		Args: exactArgs(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			list := []backendStatus{{Name: "cpu", Auto: true}, {Name: "metal", Why: metalMissing()}}
			if b, err := cpu.New(cpu.Options{}); err != nil {
				list[0].Why = err.Error()
			} else {
				i := b.Info()
				list[0] = backendStatus{"cpu", true, "", i.Device, i.Kernels, i.Workers, i.Memory, true}
				b.Close()
			}
			w := cmd.OutOrStdout()
			if asJSON {
				return writeJSON(w, list)
			}
			for _, s := range list {
				if !s.Available {
					fmt.Fprintf(w, "%-6s not available: %s\n", s.Name, s.Why)
					continue
				}
				fmt.Fprintf(w, "%-6s %s\n", s.Name, describeDevice(s.Device, s.Kernels, s.Workers, s.Memory))
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func describeDevice(device, kernels string, workers int, memory int64) string {
	parts := []string{device}
	if kernels != "" {
		parts = append(parts, kernels+" kernels")
	}
	if workers > 0 {
		parts = append(parts, plural(workers, "worker"))
	}
	return strings.Join(append(parts, bytes(memory)+" of memory"), " · ")
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
