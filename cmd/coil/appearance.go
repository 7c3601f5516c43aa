package main

import (
	"os"
	"strings"

	"coil/tui"
	"coil/tui/canvas"
	"coil/tui/terminal"

	"github.com/spf13/cobra"
)

// appearanceFlags choose how the dashboard looks.
type appearanceFlags struct {
	theme string
	ascii bool
}

func (f *appearanceFlags) add(cmd *cobra.Command) {
	var names []string
	for _, t := range canvas.Themes() {
		names = append(names, t.Name)
	}
	cmd.Flags().StringVar(&f.theme, "theme", os.Getenv("COIL_THEME"), "`theme` of the dashboard: "+strings.Join(names, ", ")+"; COIL_THEME sets it for good")
	cmd.Flags().BoolVar(&f.ascii, "ascii", false, "a dashboard of ASCII characters only")
	cmd.Flags().Lookup("theme").DefValue = ""
	cmd.RegisterFlagCompletionFunc("theme", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return names, cobra.ShellCompDirectiveNoFileComp
	})
}

func (f *appearanceFlags) check() error {
	_, err := f.style()
	return err
}

// style is how the dashboard looks on this terminal.
func (f *appearanceFlags) style() (tui.Style, error) {
	s := tui.Style{Depth: terminal.Depth(), ASCII: f.ascii || terminal.ASCII()}
	if f.theme == "" {
		return s, nil
	}
	var err error
	if s.Theme, err = canvas.ThemeNamed(f.theme); err != nil {
		return s, usageError{err}
	}
	return s, nil
}

// canShow reports whether the dashboard may open without being asked for: on a terminal that is large enough and that a
// person uses.
func canShow() bool {
	if terminal.Dumb() {
		return false
	}
	if _, _, ok := terminal.Size(os.Stdin); !ok {
		return false
	}
	w, h, ok := terminal.Size(os.Stdout)
	return ok && w >= tui.LeastWidth && h >= tui.LeastHeight
}
