//go:build noasm || !(amd64 || arm64)

package peak

var native []loop
