//go:build race

package cpu_test

func init() { workerCounts = []int{3} } // a single worker shares its data with nobody, and the detector takes minutes
