package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
)

// interrupt turns the first signal into a request to stop and a second Ctrl-C into an immediate end. Other signals often come
// twice by themselves: when a terminal closes, both the kernel and the shell send SIGHUP, and batch systems follow SIGINT with
// SIGTERM.
type interrupt struct {
	number atomic.Int32 // of the first signal
	c      chan os.Signal
	first  func()         // after the first signal, unless nil
	second func(code int) // after the second Ctrl-C
}

// endingSignals starts listening to the signals that ask a process to end, and to others; signal.Stop ends it.
func endingSignals(others ...os.Signal) chan os.Signal {
	c := make(chan os.Signal, 8)
	signal.Notify(c, append(others, syscall.SIGINT, syscall.SIGTERM)...)
	if !signal.Ignored(syscall.SIGHUP) { // under nohup, closing the terminal stops nothing
		signal.Notify(c, syscall.SIGHUP)
	}
	return c
}

// watchSignals starts listening; end stops it. first is the message after the first signal, and again says what a second
// Ctrl-C does.
func watchSignals(w io.Writer, first, again string) *interrupt {
	i := &interrupt{c: endingSignals(), second: os.Exit}
	go func() {
		interrupts := 0
		for s := range i.c {
			n, ok := s.(syscall.Signal)
			if !ok {
				continue
			}
			if n == syscall.SIGINT {
				interrupts++
			}
			isFirst := i.number.CompareAndSwap(0, int32(n))
			switch {
			case n == syscall.SIGINT && interrupts == 1:
				fmt.Fprintf(w, "\n%s; %s\n", first, again)
			case n == syscall.SIGINT:
				i.second(128 + int(n))
			case isFirst:
				fmt.Fprintf(w, "\n%s\n", first)
			}
			if isFirst && i.first != nil {
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

// survivePipes turns writing to a pipe without a reader into an error, until end is called. Otherwise Go would end the
// program, and with it training, when its lines go to a pager or to head. A handler, unlike an ignored signal, is not inherited.
func survivePipes() (end func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGPIPE)
	return func() { signal.Stop(c) }
}
