package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"coil/encode"
	"coil/run"
	"coil/text"

	"github.com/spf13/pflag"
)

// A run in the background is the same command in its own process and its own session, so that no terminal can end it.
// This variable in its environment is the path of its log, to which its output goes. On descriptor 3 it has a pipe to the
// process that started it, on which it reports that the run has begun.
const detachedEnv = "COIL_DETACHED_LOG"

const detachedPipe = 3

// logName is what the log is called in the run's folder.
const logName = "log.txt"

// startedMessage is what the background process writes to the pipe when its run has begun.
type startedMessage struct {
	Run string `json:"run"`
	PID int    `json:"pid"`
}

// inBackground starts the command again, without --detach, in the background.
func (s *session) inBackground() error {
	args := slices.DeleteFunc(slices.Clone(os.Args[1:]), func(a string) bool { return a == "--detach" || strings.HasPrefix(a, "--detach=") })
	return startDetached(s, args)
}

// moveToBackground continues in the background a run that was stopped here.
func (s *session) moveToBackground(j *job) error {
	args := []string{"resume", j.r.Path()}
	s.cmd.Flags().Visit(func(f *pflag.Flag) {
		if f.Name == "backend" || f.Name == "workers" || f.Name == "bfloat16" {
			args = append(args, "--"+f.Name+"="+f.Value.String())
		}
	})
	j.close()
	*j = job{}
	return startDetached(s, args)
}

// startDetached starts the background process, and waits until its run has begun or it has failed.
func startDetached(s *session, args []string) error {
	program, err := ownProgram()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.folder, 0o777); err != nil {
		return fileError("the log of a run in the background", err)
	}
	log, err := os.CreateTemp(s.folder, ".log-*")
	if err != nil {
		return fileError("the log of a run in the background", err)
	}
	defer log.Close()
	told, pipe, err := os.Pipe()
	if err != nil {
		return err
	}
	defer told.Close()
	c := exec.Command(program, args...)
	c.Env = append(os.Environ(), detachedEnv+"="+log.Name())
	c.Stdout, c.Stderr, c.ExtraFiles = log, log, []*os.File{pipe}
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = c.Start()
	pipe.Close()
	if err != nil {
		os.Remove(log.Name())
		return err
	}
	answer, err := io.ReadAll(told) // ends when the run has begun, or the process has
	if err != nil {
		return err
	}
	var b startedMessage
	if json.Unmarshal(answer, &b) != nil {
		return failedDetached(c, log, s.cmd.ErrOrStderr())
	}
	w := s.cmd.OutOrStdout()
	if s.ui.asJSON {
		return writeJSON(w, b)
	}
	fmt.Fprintf(w, "run    %s, in the background: process %d\n", b.Run, b.PID)
	path := text.Path(b.Run)
	fmt.Fprintf(w, "watch  coil watch %s\nstop   coil control %s stop\n", path, path)
	return nil
}

// silentError is an error that has already been reported.
type silentError struct{ code int }

func (e silentError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

// failedDetached reports the output of a background process that ended before its run began.
func failedDetached(c *exec.Cmd, log *os.File, w io.Writer) error {
	defer os.Remove(log.Name())
	err := c.Wait()
	if _, e := log.Seek(0, io.SeekStart); e == nil {
		io.Copy(w, log)
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return silentError{max(1, exit.ExitCode())}
	}
	return errors.Join(errors.New("the background process ended without a message"), err)
}

// announceRun is the background process's part: it moves the log into the run's folder and ignores hang-ups.
func announceRun(r *run.Run) {
	log := os.Getenv(detachedEnv)
	signal.Ignore(syscall.SIGHUP)
	if err := os.Rename(log, filepath.Join(r.Path(), logName)); err != nil { // the log stays where it is
		fmt.Fprintf(os.Stderr, "coil: %v\n", err)
	}
	pipe := os.NewFile(detachedPipe, "pipe")
	encode.Line(pipe, startedMessage{r.Path(), os.Getpid()}) // the process that started this one may be gone
	pipe.Close()
}
