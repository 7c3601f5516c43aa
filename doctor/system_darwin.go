package doctor

import (
	"context"
	"encoding/binary"
	"os/exec"
	"regexp"
	"strconv"
	"syscall"
	"time"
)

// system asks the kernel, and two system programs for facts that only they have. Unknown facts stay empty.
func system() System {
	var s System
	s.Model, _ = syscall.Sysctl("hw.model")
	s.Build, _ = syscall.Sysctl("kern.osversion")
	if v, err := syscall.Sysctl("kern.osproductversion"); err == nil {
		s.OS = "macOS " + v
	}
	if raw, err := syscall.Sysctl("hw.memsize"); err == nil {
		b := append([]byte(raw), make([]byte, 8)...) // Sysctl drops trailing zeros
		s.Memory = int64(binary.LittleEndian.Uint64(b))
	}
	s.GPUCores, _ = strconv.Atoi(find(`"gpu-core-count" = (\d+)`, "/usr/sbin/ioreg", "-rc", "AGXAccelerator", "-d", "1"))
	s.Power = find(`Now drawing from '([^']*)'`, "/usr/bin/pmset", "-g", "batt")
	return s
}

// find runs a program and returns the first group of the pattern in what it prints.
func find(pattern, program string, args ...string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, args...).Output()
	if err != nil {
		return ""
	}
	if m := regexp.MustCompile(pattern).FindSubmatch(out); m != nil {
		return string(m[1])
	}
	return ""
}
