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

// watchSignals begins to listen; end stops it. first is what to say after the first signal.
func watchSignals(w io.Writer, first string) *interrupt {
	i := &interrupt{c: make(chan os.Signal, 2)}
	signal.Notify(i.c, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // as under nohup: a closed terminal stops nothing
		signal.Notify(i.c, syscall.SIGHUP)
	}
	go func() {
		for s := range i.c {
			n, ok := s.(syscall.Signal)
			if !ok {
				continue
			}
			if !i.number.CompareAndSwap(0, int32(n)) {
				os.Exit(128 + int(n))
			}
			fmt.Fprintf(w, "\n%s\n", first)
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
