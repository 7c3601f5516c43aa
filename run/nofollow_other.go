//go:build !unix

package run

// noFollow is for systems on which making a link needs rights that few have.
const noFollow = 0
