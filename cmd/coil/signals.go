package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
)

// interrupt turns the first signal into a wish to stop and the second into an end.
type interrupt struct {
	number atomic.Int32 // of the first signal
	c      chan os.Signal
}

// watchSignals begins to listen; end stops it.
func watchSignals(w io.Writer) *interrupt {
	i := &interrupt{c: make(chan os.Signal, 2)}
	signal.Notify(i.c, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		for s := range i.c {
			n, ok := s.(syscall.Signal)
			if !ok {
				continue
			}
			if !i.number.CompareAndSwap(0, int32(n)) {
				os.Exit(128 + int(n))
			}
			fmt.Fprintln(w, "\nstopping: the step and a checkpoint are finished first; once more leaves at once, without")
		}
	}()
	return i
}

func (i *interrupt) asked() bool { return i.number.Load() != 0 }

func (i *interrupt) end() {
	signal.Stop(i.c)
	close(i.c)
}

// err is the error of a run that was stopped.
func (i *interrupt) err() error { return signalError{int(i.number.Load())} }
