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
	first  func()         // after the first signal, unless nil
	second func(code int) // after the second
}

// watchSignals begins to listen; end stops it. first is what to say after the first signal.
func watchSignals(w io.Writer, first string) *interrupt {
	i := &interrupt{c: make(chan os.Signal, 2), second: os.Exit}
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
				i.second(128 + int(n))
			}
			fmt.Fprintf(w, "\n%s\n", first)
			if i.first != nil {
				i.first()
			}
		}
	}()
	return i
}

func (i *interrupt) asked() bool { return i.number.Load() != 0 }

func (i *interrupt) end() {
	signal.Stop(i.c)
	close(i.c)
}

// err is the error of a run that was stopped: by a signal, or as Ctrl-C does.
func (i *interrupt) err() error {
	n := int(i.number.Load())
	if n == 0 {
		n = int(syscall.SIGINT)
	}
	return signalError{n}
}
