package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"coil/backend"
	"coil/backend/cpu"
	"coil/doctor"
	"coil/encode"
	"coil/format"
	"coil/metal"
	"coil/metal/bridge"

	"github.com/spf13/cobra"
)

// backendFlags choose where to run.
type backendFlags struct {
	name    string
	workers int
	bfloat  bool
}

func (f *backendFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.name, "backend", "auto", "`name` of the backend: cpu, metal, or auto for the best one available")
	cmd.Flags().IntVar(&f.workers, "workers", 0, "`number` of cores that the cpu backend uses; 0 is all")
	cmd.Flags().BoolVar(&f.bfloat, "bfloat16", false, "keep activations in bfloat16 (metal only): half the memory, lower precision")
	cmd.RegisterFlagCompletionFunc("backend", cobra.FixedCompletions([]string{"cpu", "metal", "auto"}, cobra.ShellCompDirectiveNoFileComp))
}

// open starts the backend. It never replaces the one that was asked for by another. It writes to w what auto chose, and why.
func (f *backendFlags) open(w io.Writer) (backend.Backend, error) {
	switch f.name {
	case "cpu":
		return f.openCPU()
	case "metal":
		b, err := f.openMetal(w)
		return b, noMetal(err)
	case "auto":
		if f.workers > 0 { // only cpu has workers
			return f.openCPU()
		}
		b, err := f.openMetal(w)
		if err == nil {
			return b, nil
		}
		if !errors.Is(err, bridge.ErrUnavailable) {
			fmt.Fprintf(w, "metal is not used: %v; training on the cpu\n", err)
		}
		return f.openCPU()
	}
	return nil, f.available()
}

// available returns an error unless there is such a backend here.
func (f *backendFlags) available() error {
	switch f.name {
	case "auto", "cpu":
		return nil
	case "metal":
		d, err := bridge.Open()
		if err != nil {
			return noMetal(err)
		}
		d.Close()
		return nil
	}
	return usageError{fmt.Errorf("--backend %s: no such backend; there are cpu, metal and auto", f.name)}
}

// noMetal is the error of asking for metal.
func noMetal(err error) error {
	if errors.Is(err, bridge.ErrUnavailable) {
		return usageError{fmt.Errorf("--backend metal: %s; there is cpu", why(err))}
	}
	return err
}

// why is an error of the bridge without the part that the caller says, too.
func why(err error) string {
	return strings.TrimPrefix(err.Error(), bridge.ErrUnavailable.Error()+": ")
}

func (f *backendFlags) openCPU() (backend.Backend, error) {
	if f.bfloat {
		return nil, usageError{fmt.Errorf("--bfloat16: the cpu backend computes in float32 only")}
	}
	b, err := cpu.New(cpu.Options{Workers: f.workers})
	if err != nil {
		return nil, usageError{err}
	}
	return b, nil
}

// openMetal starts the Metal backend on a GPU that has passed the examination.
func (f *backendFlags) openMetal(w io.Writer) (backend.Backend, error) {
	if f.workers > 0 {
		return nil, usageError{fmt.Errorf("--workers %d: only the cpu backend has workers", f.workers)}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("where to remember that the GPU was examined: %w", err)
	}
	announced := false
	verdict, examined, err := doctor.FirstRun(filepath.Join(cache, "coil"), bridge.Open, doctor.Options{Version: version(), Progress: func(any) {
		if !announced {
			fmt.Fprintln(w, "first run on this GPU: comparing its kernels with the reference, once (coil doctor does so thoroughly)")
			announced = true
		}
	}})
	if err != nil {
		return nil, err
	}
	if examined {
		fmt.Fprintln(w, "all kernels compute the right results")
	}
	d, err := bridge.Open()
	if err != nil {
		return nil, err
	}
	return metal.New(d, metal.Options{BFloat16: f.bfloat, Variants: verdict.Variants, Tensors: verdict.Tensors()})
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
	Auto      bool   `json:"auto"` // what auto chooses
}

// backendList is what coil can run on.
func backendList() []backendStatus {
	list := []backendStatus{{Name: "cpu"}, {Name: "metal"}}
	if d, err := bridge.Open(); err != nil {
		list[1].Why = why(err)
		list[0].Auto = true
	} else {
		x := d.Description()
		list[1] = backendStatus{Name: "metal", Available: true, Device: x.Name, Memory: x.WorkingSet, Auto: true}
		d.Close()
	}
	if b, err := cpu.New(cpu.Options{}); err != nil {
		list[0].Why = err.Error()
	} else {
		i := b.Info()
		list[0] = backendStatus{"cpu", true, "", i.Device, i.Kernels, i.Workers, i.Memory, list[0].Auto}
		b.Close()
	}
	return list
}

func newBackends() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "backends",
		Short: "List the backends, and why one is not available",
		Example: `  coil backends
  coil backends --json
  COIL_CPU=portable coil backends   choose the cpu backend's kernels: avx512, avx2, neon or portable`,
		Args: exactArgs(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			list := backendList()
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
		parts = append(parts, format.Plural(workers, "worker"))
	}
	return strings.Join(append(parts, format.Bytes(memory)+" of memory"), " · ")
}

func writeJSON(w io.Writer, v any) error {
	if o, ok := w.(*output); ok && o.clean.ASCII { // JSON is for programs and keeps every character
		o.clean.ASCII = false
		defer func() { o.clean.ASCII = true }()
	}
	return encode.JSON(w, v)
}
