package corpus

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"sort"
)

// A shard is a file of tokenised documents. All numbers are little-endian:
//
//	offset  bytes
//	0       8      "coiltok\n"
//	8       4      the format's version, 1
//	12      4      bytes of a token, w: 2 or 4
//	16      8      the number of documents, n
//	24      8      the number of tokens, t
//	32      8      bytes of the texts
//	40      4      1 in the last shard of a source, else 0
//	44      4      documents that were skipped until here
//	48      32     the key of source, tokenizer and options
//	80      16·n   for each document: where its tokens end, and the first 8 bytes of its text's SHA-256
//	80+16n  w·t    the tokens of the documents, without ends of documents
//	…       4      CRC-32C of everything before
type shard struct {
	documents int
	bytes     int64
	last      bool
	skipped   int64

	width  int
	table  []byte // of documents
	tokens []byte
	whole  []byte
	unmap  func()
}

const (
	shardMagic   = "coiltok\n"
	shardVersion = 1
	shardHeader  = 80
	keySize      = 32
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(b []byte) []byte {
	return binary.LittleEndian.AppendUint32(nil, crc32.Checksum(b, castagnoli))
}

// errShard is the error of a file that is no shard of the key.
var errShard = errors.New("not a whole shard of this corpus")

// parseShard reads a shard from its bytes.
func parseShard(b []byte, key [keySize]byte) (*shard, error) {
	le := binary.LittleEndian
	if len(b) < shardHeader+4 || string(b[:8]) != shardMagic || le.Uint32(b[8:]) != shardVersion || [keySize]byte(b[48:80]) != key {
		return nil, errShard
	}
	body := b[:len(b)-4]
	if !bytes.Equal(checksum(body), b[len(body):]) {
		return nil, errShard
	}
	s := &shard{width: int(le.Uint32(b[12:])), bytes: int64(le.Uint64(b[32:])), last: le.Uint32(b[40:]) == 1, skipped: int64(le.Uint32(b[44:])), whole: b}
	n, t, room := le.Uint64(b[16:]), le.Uint64(b[24:]), uint64(len(body)-shardHeader)
	if s.width != 2 && s.width != 4 || n > room/16 || t > room || 16*n+uint64(s.width)*t != room {
		return nil, errShard
	}
	s.documents = int(n)
	s.table, s.tokens = body[shardHeader:shardHeader+16*n], body[shardHeader+16*n:]
	before := uint64(0)
	for i := range s.documents {
		end := le.Uint64(s.table[16*i:])
		if end < before || end > t {
			return nil, errShard
		}
		before = end
	}
	if before != t {
		return nil, errShard
	}
	return s, nil
}

// openShard maps the file of a shard into memory.
func openShard(path string, key [keySize]byte) (*shard, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, unmap, err := mapFile(f)
	if err != nil {
		return nil, systemError("map", path, err)
	}
	s, err := parseShard(b, key)
	if err != nil {
		unmap()
		return nil, err
	}
	s.unmap = unmap
	return s, nil
}

func (s *shard) close() {
	if s.unmap != nil {
		s.unmap()
		s.unmap = nil
	}
}

// bounds returns where the tokens of a document begin and end.
func (s *shard) bounds(i int) (from, to int) {
	if i > 0 {
		from = int(binary.LittleEndian.Uint64(s.table[16*(i-1):]))
	}
	return from, int(binary.LittleEndian.Uint64(s.table[16*i:]))
}

// hash is the hash of a document's text.
func (s *shard) hash(i int) uint64 { return binary.LittleEndian.Uint64(s.table[16*i+8:]) }

// copy writes tokens, from the one with that number on.
func (s *shard) copy(dst []int32, from int) {
	if s.width == 2 {
		b := s.tokens[2*from:]
		for i := range dst {
			dst[i] = int32(binary.LittleEndian.Uint16(b[2*i:]))
		}
		return
	}
	b := s.tokens[4*from:]
	for i := range dst {
		dst[i] = int32(binary.LittleEndian.Uint32(b[4*i:]))
	}
}

// shardWriter collects the documents of a shard.
type shardWriter struct {
	width     int
	documents int
	bytes     int64
	table     []byte
	tokens    []byte
}

func newShardWriter(vocabulary int) *shardWriter {
	w := &shardWriter{width: 2}
	if vocabulary > 1<<16 {
		w.width = 4
	}
	return w
}

// hashText is the hash of a document.
func hashText(text []byte) uint64 {
	sum := sha256.Sum256(text)
	return binary.BigEndian.Uint64(sum[:])
}

// add adds a document with its tokens and its text's hash and size.
func (w *shardWriter) add(tokens []int32, hash uint64, size int) {
	for _, t := range tokens {
		if w.width == 2 {
			w.tokens = binary.LittleEndian.AppendUint16(w.tokens, uint16(t))
		} else {
			w.tokens = binary.LittleEndian.AppendUint32(w.tokens, uint32(t))
		}
	}
	w.table = binary.LittleEndian.AppendUint64(w.table, uint64(len(w.tokens)/w.width))
	w.table = binary.LittleEndian.AppendUint64(w.table, hash)
	w.documents++
	w.bytes += int64(size)
}

// encode returns the bytes of the shard, and empties the writer.
func (w *shardWriter) encode(key [keySize]byte, last bool, skipped int64) []byte {
	le := binary.LittleEndian
	b := append(make([]byte, 0, shardHeader+len(w.table)+len(w.tokens)+4), shardMagic...)
	b = le.AppendUint32(b, shardVersion)
	b = le.AppendUint32(b, uint32(w.width))
	b = le.AppendUint64(b, uint64(w.documents))
	b = le.AppendUint64(b, uint64(len(w.tokens)/w.width))
	b = le.AppendUint64(b, uint64(w.bytes))
	end := uint32(0)
	if last {
		end = 1
	}
	b = le.AppendUint32(b, end)
	b = le.AppendUint32(b, uint32(skipped))
	b = append(append(append(b, key[:]...), w.table...), w.tokens...)
	b = append(b, checksum(b)...)
	w.documents, w.bytes, w.table, w.tokens = 0, 0, w.table[:0], w.tokens[:0]
	return b
}

// writeShard puts a shard in its place, whole: what is there is the old file or the new one. It is not synced to the disk: after a
// loss of power its checksum shows what is missing, and it is made again.
func writeShard(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), temporary+"*")
	if err != nil {
		return systemError("write", path, err)
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return systemError("write", path, err)
	}
	return nil
}

// temporary begins the names of files that are being written.
const temporary = "new-"

// hashOf is the hash of a document of the shard.
func (s *shard) hashOf(d document) uint64 {
	end := int(d.from + d.length)
	return s.hash(sort.Search(s.documents, func(i int) bool {
		_, to := s.bounds(i)
		return to >= end
	}))
}
