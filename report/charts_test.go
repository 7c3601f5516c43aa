package report

import (
	"testing"

	"coil/run"
)

// Every value of training that has a chart is a member of the reports of training.
func TestChartsOfWhatIsReported(t *testing.T) {
	for _, n := range trained {
		if r := run.TrainOf(map[string]run.Number{n.of.String(): 1}); len(r.Other) > 0 {
			t.Errorf("reports of training have no %s", n.of)
		}
	}
}
