package report

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"coil/run"
	"coil/thorough"
)

// probe is a script that reports, once a page is laid out, its width and what does not fit.
const probe = `<script>
addEventListener("load", () => {
	const wide = document.documentElement.clientWidth, over = [];
	for (const e of document.querySelectorAll("body *")) {
		if (e.closest("svg") && e.tagName != "svg" || e.closest("thead")) continue;
		const box = e.getBoundingClientRect();
		if (box.right > wide + 0.5 || e.classList.contains("scroll") && e.scrollWidth > e.clientWidth)
			over.push(e.tagName + "." + e.className + " " + box.right + ": " + e.textContent.trim().slice(0, 60));
	}
	parent.postMessage({page: location.pathname, width: wide, scroll: document.documentElement.scrollWidth, svg: document.querySelectorAll("svg").length, over}, "*");
});
</script></body>`

// frames is a page with others in it, that collects what their probes report.
const frames = `<!DOCTYPE html><pre id="said"></pre><script>
const all = [];
addEventListener("message", e => { all.push(e.data); document.getElementById("said").textContent = JSON.stringify(all) });
</script>`

// laidOut is what the probe of a page reports.
type laidOut struct {
	Page               string
	Width, Scroll, SVG int
	Over               []string
}

// On a phone, of 320 to 360 points, and on a laptop, everything fits beside each other in a real browser's layout, whatever the runs
// are called.
func TestLayout(t *testing.T) {
	thorough.Skip(t)
	browser, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("COIL_REQUIRE") == "all" {
			t.Fatal("chromium is not installed: apt-get install chromium")
		}
		t.Skip("chromium is not installed: apt-get install chromium")
	}
	long := strings.Repeat("long", 40)
	var runs []*run.Run
	for i := range 3 {
		s := looped(1, i+2)
		s.Kinds, s.Task, s.Device = []string{"4 hops", long}, long, long
		runs = append(runs, story{id: fmt.Sprintf("2026-11-24_09-30-0%d_ab%d0_%s", i, i, long[:100]), config: config, setup: s, events: usual(s, 1200, 0)}.tell(t))
	}
	folder := t.TempDir()
	page := strings.Builder{}
	page.WriteString(frames)
	for name, of := range map[string][]*run.Run{"one": runs[:1], "three": runs} {
		m := report(t, of...)
		if err := os.WriteFile(filepath.Join(folder, name+".html"), []byte(strings.Replace(m.page, "</body>", probe, 1)), 0o666); err != nil {
			t.Fatal(err)
		}
		for _, width := range []int{320, 360, 1280} {
			fmt.Fprintf(&page, "<iframe src=\"%s.html\" width=%d height=900 style=\"border:0\"></iframe>\n", name, width)
		}
	}
	path := filepath.Join(folder, "frames.html")
	if err := os.WriteFile(path, []byte(page.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--user-data-dir="+t.TempDir(),
		"--window-size=2000,1000", "--virtual-time-budget=2000", "--dump-dom", "file://"+path).Output()
	if err != nil {
		t.Fatal(err)
	}
	said := regexp.MustCompile(`<pre id="said">(.*?)</pre>`).FindSubmatch(out)
	if said == nil {
		t.Fatalf("the browser shows %.2000s", out)
	}
	var all []laidOut
	if err := json.Unmarshal([]byte(strings.NewReplacer("&amp;", "&", "&lt;", "<", "&gt;", ">").Replace(string(said[1]))), &all); err != nil {
		t.Fatal(err)
	}
	if len(all) != 6 {
		t.Fatalf("%d pages are laid out: %s", len(all), said[1])
	}
	for _, l := range all {
		if l.Width != 320 && l.Width != 360 && l.Width != 1280 || l.SVG < 5 {
			t.Errorf("%s is %d wide with %d plots", l.Page, l.Width, l.SVG)
		}
		if l.Scroll > l.Width || len(l.Over) > 0 {
			t.Errorf("%s, %d wide, takes %d: %s", l.Page, l.Width, l.Scroll, strings.Join(l.Over, "\n"))
		}
	}
}
