//go:build !darwin

package doctor

import "runtime"

func system() System { return System{OS: runtime.GOOS} }
