package machine

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
)

// Read reads /proc and /sys. It takes about a tenth of a millisecond.
func Read() Reading { return read(os.DirFS("/")) }

func read(root fs.FS) Reading {
	var r Reading
	status, _ := fs.ReadFile(root, "proc/self/status")
	r.Resident, r.Peak, r.Files = kilobytes(status, "VmRSS:"), kilobytes(status, "VmHWM:"), kilobytes(status, "RssFile:")
	zones, _ := fs.Glob(root, "sys/class/thermal/thermal_zone*")
	for _, zone := range zones {
		if !ofProcessor(text(root, path.Join(zone, "type"))) {
			continue
		}
		if t, err := strconv.ParseFloat(text(root, path.Join(zone, "temp")), 64); err == nil && t < 150e3 { // thousandths
			r.Temperature = max(r.Temperature, t/1000)
		}
	}
	supplies, _ := fs.Glob(root, "sys/class/power_supply/*")
	for _, s := range supplies {
		switch {
		case text(root, path.Join(s, "type")) == "Mains" && text(root, path.Join(s, "online")) == "1":
			r.Power = Mains
		case text(root, path.Join(s, "type")) == "Battery" && text(root, path.Join(s, "status")) == "Discharging" && r.Power != Mains:
			r.Power = Battery
		}
	}
	return r
}

// ofProcessor reports whether a thermal zone of that type is the processor.
func ofProcessor(kind string) bool {
	kind = strings.ToLower(kind)
	return strings.Contains(kind, "cpu") || strings.Contains(kind, "pkg") || strings.Contains(kind, "soc")
}

func text(root fs.FS, name string) string {
	b, err := fs.ReadFile(root, name)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// kilobytes reads a line such as "VmRSS:	  1234 kB".
func kilobytes(status []byte, name string) int64 {
	_, rest, ok := bytes.Cut(status, []byte("\n"+name))
	if !ok {
		return 0
	}
	line, _, _ := strings.Cut(string(rest), "\n")
	n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(line, "kB")), 10, 64)
	if err != nil {
		return 0
	}
	return n << 10
}
