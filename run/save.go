package run

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"coil/format"
)

// Save saves a checkpoint: it calls the files' Write in order, and writes meta, encoded as JSON, beside them. When it
// returns without error, the checkpoint is on the disk. Until then, and if it fails, or the process or the machine
// dies, all earlier checkpoints are as they were, also one of the same step, which is replaced in the end.
// The events until now are on the disk too.
//
// If the disk is full, the remaining files are still asked to write, into nothing, so that the error can say how much
// space is needed. A file name that is used twice or has a folder panics.
func (r *Run) Save(step int, meta any, files []FileWriter) (Checkpoint, error) {
	return r.SaveSnapshot(step, Snapshot{Meta: meta, Files: files})
}

// SaveSnapshot is Save with all that a checkpoint can hold.
func (r *Run) SaveSnapshot(step int, s Snapshot) (Checkpoint, error) {
	r.mustWrite()
	if step < 0 {
		panic("run: negative step")
	}
	names := make(map[string]bool, len(s.Files))
	for _, f := range s.Files {
		if !plainName(f.Name) || names[f.Name] {
			panic("run: bad name of a checkpoint file")
		}
		names[f.Name] = true
	}
	m := manifest{Format: manifestFormat, Run: r.identity, Step: step, Files: []CheckpointFile{}}
	var err error
	if m.Meta, err = json.Marshal(s.Meta); err == nil && s.About != nil {
		m.About, err = json.Marshal(s.About)
	}
	if err != nil {
		return Checkpoint{}, fmt.Errorf("save checkpoint of step %d: %w", step, err)
	}

	r.saving.Lock()
	defer r.saving.Unlock()
	r.appending.Lock()
	err = r.keepLock(step)
	r.appending.Unlock()
	if err != nil {
		return Checkpoint{}, fmt.Errorf("save checkpoint of step %d: %w", step, withHint(err, ""))
	}
	if err := r.saveFiles(m, s.Files); err != nil {
		return Checkpoint{}, fmt.Errorf("save checkpoint of step %d: %w; %s", step, err, r.intact())
	}
	return r.load(place{step, r.checkpointPath(step)})
}

func (r *Run) saveFiles(m manifest, files []FileWriter) error {
	path := r.checkpointPath(m.Step)
	temporary, old := hidden(path, newSuffix), hidden(path, oldSuffix)
	err := clearAway(temporary, path)
	if err == nil {
		err = r.write(temporary, m, files)
	}
	if err == nil {
		// Earlier reports reach the disk before the checkpoint.
		err = withHint(r.syncEvents(), "")
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(temporary))
	}

	old, err = moveOver(path, old, path)
	replace := err == nil
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		err = errors.Join(withHint(err, ""), os.RemoveAll(temporary))
		if replace {
			err = errors.Join(err, os.Rename(old, path))
		}
		return err
	}
	if err := syncDirectory(r.checkpointsPath()); err != nil {
		return withHint(err, "")
	}
	if replace {
		discard(old, path) // or Prune does
	}
	return nil
}

// syncEvents returns when the events are on the disk.
func (r *Run) syncEvents() error {
	r.appending.Lock()
	defer r.appending.Unlock()
	return r.events.Sync()
}

// write writes the files and the manifest of a checkpoint into the new directory dir.
func (r *Run) write(dir string, m manifest, files []FileWriter) error {
	var space space
	if err := os.Mkdir(dir, 0o777); err != nil && !space.lacking(err) {
		return withHint(err, "")
	}
	m.Saved = time.Now().Round(time.Millisecond)
	for _, f := range files {
		file, err := r.writeFile(dir, f, &space)
		if err != nil {
			return err
		}
		m.Files = append(m.Files, file)
	}
	encoded, err := Seal(m)
	if err != nil {
		return err
	}
	_, err = r.writeFile(dir, FileWriter{manifestName, func(w io.Writer) error {
		_, err := w.Write(encoded)
		return err
	}}, &space)
	if err != nil {
		return err
	}
	if space.full == nil {
		if err := syncDirectory(dir); err != nil && !space.lacking(err) {
			return withHint(err, "")
		}
	}
	return space.err()
}

// space counts what a checkpoint needs and what of it is on the disk, and notes when the disk is full.
type space struct {
	needed, fitted int64
	full           error
}

// lacking reports whether err says that the disk is full, and remembers the first that does.
func (s *space) lacking(err error) bool {
	if !isFull(err) {
		return false
	}
	if s.full == nil {
		s.full = err
	}
	return true
}

func (s *space) err() error {
	if s.full == nil {
		return nil
	}
	return fmt.Errorf("%w: disk full: the checkpoint has %s and only %s fitted: free at least %d MiB, or choose another disk with --out",
		s.full, format.Bytes(s.needed), format.Bytes(s.fitted), (s.needed-s.fitted)>>20+1)
}

// writeFile writes one file of a checkpoint, to the disk. Once that is full, it only counts what there is to write.
func (r *Run) writeFile(dir string, f FileWriter, space *space) (CheckpointFile, error) {
	c := &counter{space: space}
	written := false
	write := func(w io.Writer) error {
		written = true
		c.w = w
		buffered := bufio.NewWriterSize(c, chunk)
		if err := f.Write(buffered); err != nil {
			return err
		}
		return buffered.Flush()
	}
	var err error
	if space.full == nil {
		err = writeSynced(r.create, filepath.Join(dir, f.Name), write)
		if err == nil {
			space.fitted += c.fitted
		} else if space.lacking(err) { // the error came from creating or syncing, so the file may not exist
			err = nil
		}
	}
	if err == nil && !written {
		err = write(io.Discard)
	}
	space.needed += c.n
	switch {
	case err == nil:
		return CheckpointFile{f.Name, c.n, fmt.Sprintf("%08x", c.crc)}, nil
	case space.full != nil:
		err = space.full // what went wrong first
	}
	return CheckpointFile{}, withHint(err, "")
}

// A counter passes on, counts and checksums what is written. Once the disk is full, it only counts.
type counter struct {
	w         io.Writer
	space     *space
	n, fitted int64
	crc       uint32
}

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	if c.space.full != nil {
		return len(p), nil
	}
	n, err := c.w.Write(p)
	c.fitted += int64(n)
	c.crc = crc32.Update(c.crc, castagnoli, p[:n])
	if c.space.lacking(err) {
		return len(p), nil
	}
	return n, err
}
