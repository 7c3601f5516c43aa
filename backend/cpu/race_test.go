//go:build race

package cpu_test

import "coil/backend/conformance"

// The race detector takes minutes, mostly in the reference. A single worker shares its data with no other, and a race shows
// in every shape with parts for several workers.
func init() { workerCounts, suite = []int{3}, conformance.Options{Every: 3} }
