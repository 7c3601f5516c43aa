package corpus

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"coil/tokenizer"
)

// Progress is how far the tokenising of a corpus is.
type Progress struct {
	Path        string // the file that is being read
	Done, Total int64  // bytes of all files
	Waiting     bool   // for another process that tokenises the same file
}

// shardText is how many bytes of text make a shard, which is held in memory until it is written.
const shardText = 16 << 20

// builder tokenises files into shards.
type builder struct {
	Settings
	folder   string
	text     int           // bytes of a shard
	every    time.Duration // between calls of progress
	encoders []tokenizer.Encoder
	progress func(Progress) error
	told     time.Time
	done     int64 // bytes of files that are done
	total    int64
}

func newBuilder(s Settings, sources []Source, progress func(Progress) error) (*builder, error) {
	b := &builder{Settings: s, folder: s.Cache, text: cmp.Or(s.shardText, shardText), every: 100 * time.Millisecond, progress: progress}
	if b.folder == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return nil, errors.New("there is no folder for tokenised text: set HOME or XDG_CACHE_HOME")
		}
		b.folder = filepath.Join(cache, "coil", "corpora")
	}
	for range runtime.GOMAXPROCS(0) {
		b.encoders = append(b.encoders, s.Tokenizer.NewEncoder())
	}
	for _, x := range sources {
		b.total += x.Size
	}
	return b, nil
}

// place returns the folder of a file's shards, which is the same for all versions of the file, and the key of this version.
func (b *builder) place(x Source) (folder string, key [keySize]byte) {
	sum := func(parts ...any) [keySize]byte {
		text, err := json.Marshal(parts)
		if err != nil {
			panic("corpus: " + err.Error())
		}
		return sha256.Sum256(text)
	}
	settings := sum(shardVersion, b.Tokenizer.Identity(), x.Path, x.layout, x.packed, b.Options)
	return filepath.Join(b.folder, fmt.Sprintf("%x", settings[:12])), sum(settings, x.Size, x.Modified)
}

// build returns the shards of a file, and makes those that are missing.
func (b *builder) build(x Source) ([]*shard, Skipped, error) {
	folder, key := b.place(x)
	defer func() { b.done += x.Size }()
	shards, complete := openShards(folder, key)
	if !complete {
		closeAll(shards)
		if err := os.MkdirAll(folder, 0o777); err != nil {
			return nil, Skipped{}, systemError("make", folder, err)
		}
		unlock, err := b.lock(filepath.Join(folder, lockName), x)
		if err != nil {
			return nil, Skipped{}, err
		}
		defer unlock()
		if shards, complete = openShards(folder, key); !complete { // another process may have made them meanwhile
			skipped, err := b.continueFrom(x, folder, key, shards)
			closeAll(shards)
			if err != nil {
				return nil, skipped, err
			}
			if shards, complete = openShards(folder, key); !complete {
				closeAll(shards)
				return nil, skipped, fmt.Errorf("%s can't be read back: the disk is damaged, or another program changes the folder", folder)
			}
			b.used(folder)
			b.forget(folder)
			return shards, skipped, nil
		}
	}
	b.used(folder)
	skipped := shards[len(shards)-1].skipped
	return shards, Skipped{Count: skipped}, nil
}

// keptFor is how long tokens are kept that nobody uses.
const keptFor = 90 * 24 * time.Hour

// lockName is the file of a folder of shards by which processes wait for each other. Its time is that of the last use.
const lockName = "lock"

// used notes that the shards of a folder are in use. That they can't be kept longer is no error.
func (b *builder) used(folder string) {
	now := time.Now()
	os.Chtimes(filepath.Join(folder, lockName), now, now)
}

// forget removes the shards of other files, or of other settings, that nobody has used for long. What can't be removed stays.
func (b *builder) forget(folder string) {
	folders, _ := filepath.Glob(filepath.Join(b.folder, "*", lockName))
	for _, path := range folders {
		old := filepath.Dir(path)
		if i, err := os.Stat(path); old == folder || err != nil || time.Since(i.ModTime()) < keptFor {
			continue
		}
		f, err := os.Open(path)
		if err != nil {
			continue
		}
		if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			os.RemoveAll(old)
		}
		f.Close()
	}
}

func closeAll(shards []*shard) {
	for _, s := range shards {
		s.close()
	}
}

func shardPath(folder string, number int) string {
	return filepath.Join(folder, fmt.Sprintf("%06d.tokens", number))
}

// openShards opens the whole shards of a key from the first on, and reports whether the last is among them.
func openShards(folder string, key [keySize]byte) (shards []*shard, complete bool) {
	for {
		s, err := openShard(shardPath(folder, len(shards)), key)
		if err != nil {
			return shards, false
		}
		if shards = append(shards, s); s.last {
			return shards, true
		}
	}
}

// lock waits until no other process tokenises into the folder. The lock is an flock(2), which the system releases when its holder
// ends, so it is never stale.
func (b *builder) lock(path string, x Source) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, systemError("write", path, err)
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return func() { f.Close() }, nil
		case err != syscall.EWOULDBLOCK && err != syscall.EINTR:
			f.Close()
			return nil, systemError("lock", path, err)
		}
		if err := b.progress(Progress{Path: x.Path, Done: b.done, Total: b.total, Waiting: true}); err != nil {
			f.Close()
			return nil, err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// continueFrom makes the shards of a file that come after the given ones, which it reads past.
func (b *builder) continueFrom(x Source, folder string, key [keySize]byte, shards []*shard) (Skipped, error) {
	if left, err := filepath.Glob(filepath.Join(folder, temporary+"*")); err == nil { // of processes that were killed
		for _, path := range left {
			os.Remove(path)
		}
	}
	past := 0
	for _, s := range shards {
		past += s.documents
	}
	r := &reader{Source: x, Options: b.Options, longest: longest}
	batch := &batch{builder: b, reader: r, folder: folder, key: key, number: len(shards), writer: newShardWriter(b.Tokenizer.VocabularySize())}
	r.yield = func(text []byte) error {
		if past > 0 {
			past--
			return b.tell(r)
		}
		return batch.add(text)
	}
	err := r.read()
	if err == nil {
		err = batch.end()
	}
	if err != nil {
		return r.skipped, err
	}
	return r.skipped, removeFrom(folder, batch.number)
}

// removeFrom removes shards of earlier versions of the file, which had more.
func removeFrom(folder string, number int) error {
	for ; ; number++ {
		switch err := os.Remove(shardPath(folder, number)); {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return systemError("remove", shardPath(folder, number), err)
		}
	}
}

// tell reports progress, a few times a second.
func (b *builder) tell(r *reader) error {
	if now := time.Now(); now.Sub(b.told) > b.every {
		b.told = now
		return b.progress(Progress{Path: r.Path, Done: b.done + min(r.consumed.Load(), r.Size), Total: b.total})
	}
	return nil
}

// batchText is how many bytes of documents are tokenised at a time, on all cores.
const batchText = 1 << 20

// batch collects documents, tokenises them and writes them into shards.
type batch struct {
	*builder
	reader *reader
	folder string
	key    [keySize]byte
	number int // of the next shard
	writer *shardWriter
	text   []byte
	ends   []int // of the documents in text
	tokens [][]int32
	hashes []uint64
}

func (b *batch) add(text []byte) error {
	b.text = append(b.text, text...)
	b.ends = append(b.ends, len(b.text))
	if len(b.text) < min(batchText, b.builder.text) {
		return nil
	}
	return b.flush()
}

// flush tokenises the documents that were collected.
func (b *batch) flush() error {
	n := len(b.ends)
	for len(b.tokens) < n {
		b.tokens = append(b.tokens, nil)
	}
	b.hashes = append(b.hashes[:0], make([]uint64, n)...)
	errs := make([]error, len(b.encoders))
	var wait sync.WaitGroup
	for w, encoder := range b.encoders {
		wait.Go(func() {
			for i := w; i < n && errs[w] == nil; i += len(b.encoders) {
				text := b.document(i)
				b.hashes[i] = hashText(text)
				b.tokens[i], errs[w] = encoder.Encode(b.tokens[i][:0], text)
			}
		})
	}
	wait.Wait()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%s: %w", b.reader.Path, err)
	}
	for i := range n {
		b.writer.add(b.tokens[i], b.hashes[i], len(b.document(i)))
	}
	b.text, b.ends = b.text[:0], b.ends[:0]
	if b.writer.bytes >= int64(b.builder.text) {
		if err := b.write(false); err != nil {
			return err
		}
	}
	return b.tell(b.reader)
}

func (b *batch) document(i int) []byte {
	from := 0
	if i > 0 {
		from = b.ends[i-1]
	}
	return b.text[from:b.ends[i]]
}

func (b *batch) write(last bool) error {
	err := writeShard(shardPath(b.folder, b.number), b.writer.encode(b.key, last, b.reader.skipped.Count))
	if err != nil && strings.Contains(err.Error(), "full") {
		err = fmt.Errorf("%w: free some space, or let XDG_CACHE_HOME be a folder on another disk", err)
	}
	b.number++
	return err
}

// end writes the last shard.
func (b *batch) end() error {
	if err := b.flush(); err != nil {
		return err
	}
	return b.write(true)
}
