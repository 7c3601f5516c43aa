// Package standin lets package bridge run on Linux, without a Mac: folder objc has classes that stand in for Apple's
// Metal and Foundation, under the unmodified darwinkit. The kernels are run by a metal.Device of the test's choice, such as
// the emulator.
//
// The bridge and what tests it that way have the build tag standin. They are built with objc/ccwrap as the C compiler; the
// test of this package does that, and runs the tests of package bridge.
package standin
