//go:build race

package cpu_test

import "coil/backend/conformance"

// The detector takes minutes, most of them in the reference. A single worker shares its data with nobody, and a race shows
// in every shape that has parts for several.
func init() { workerCounts, suite = []int{3}, conformance.Options{Every: 3} }
