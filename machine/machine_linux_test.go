package machine

import (
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func files(m map[string]string) fstest.MapFS {
	fs := fstest.MapFS{}
	for name, text := range m {
		fs[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return fs
}

func TestRead(t *testing.T) {
	status := "Name:\tcoil\nVmHWM:\t   20000 kB\nVmRSS:\t   10000 kB\nRssFile:\t    3000 kB\n"
	for name, k := range map[string]struct {
		files map[string]string
		want  Reading
	}{
		"nothing":  {nil, Reading{}},
		"a server": {map[string]string{"proc/self/status": status}, Reading{Resident: 10000 << 10, Peak: 20000 << 10, Files: 3000 << 10}},
		"nonsense": {map[string]string{"proc/self/status": "x\nVmRSS: many kB\n", "sys/class/thermal/thermal_zone0/type": "cpu", "sys/class/thermal/thermal_zone0/temp": "hot"}, Reading{}},
		"a laptop": {map[string]string{"proc/self/status": status,
			"sys/class/thermal/thermal_zone0/type": "acpitz\n", "sys/class/thermal/thermal_zone0/temp": "95000\n",
			"sys/class/thermal/thermal_zone1/type": "x86_pkg_temp\n", "sys/class/thermal/thermal_zone1/temp": "61500\n",
			"sys/class/thermal/thermal_zone2/type": "cpu-thermal\n", "sys/class/thermal/thermal_zone2/temp": "60000\n",
			"sys/class/power_supply/AC/type": "Mains\n", "sys/class/power_supply/AC/online": "0\n",
			"sys/class/power_supply/BAT0/type": "Battery\n", "sys/class/power_supply/BAT0/status": "Discharging\n"},
			Reading{Resident: 10000 << 10, Peak: 20000 << 10, Files: 3000 << 10, Temperature: 61.5, Power: Battery}},
		"plugged in": {map[string]string{"sys/class/power_supply/AC/type": "Mains\n", "sys/class/power_supply/AC/online": "1\n",
			"sys/class/power_supply/BAT0/type": "Battery\n", "sys/class/power_supply/BAT0/status": "Discharging\n"}, Reading{Power: Mains}},
	} {
		if d := cmp.Diff(k.want, read(files(k.files))); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	if r := Read(); r.Resident <= 0 || r.Peak < r.Resident {
		t.Errorf("this machine: %+v", r)
	}
}

func BenchmarkRead(b *testing.B) {
	for b.Loop() {
		Read()
	}
}
