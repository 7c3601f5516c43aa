package run

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
)

// castagnoli is the table of CRC-32C. A checksum is to find what a disk, a copy or a program has changed, not to
// withstand an attacker, and this one is computed in hardware many times as fast as SHA-256, and as a disk.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A file of JSON begins with a line that has the checksum of all the others, and a file of TOML with a comment that has.
const (
	sealFormat       = "{\"crc32c\":\"%08x\",\n"
	configSealFormat = "# crc32c %08x of what follows: `coil resume RUN --KEY VALUE` changes a key.\n"
	configSealPrefix = "# crc32c "
)

// ErrChanged is the error of a sealed file that is not as it was written.
var ErrChanged = errors.New("its checksum is wrong: it was changed after it was written")

// Seal encodes a struct as a JSON object that carries its own checksum.
func Seal(v any) ([]byte, error) {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return nil, err
	}
	body := append(bytes.TrimPrefix(b, []byte("{\n")), '\n')
	return append(fmt.Appendf(nil, sealFormat, crc32.Checksum(body, castagnoli)), body...), nil
}

// Unseal decodes what Seal has encoded. The error is ErrChanged if a byte is another than it was, or if it was never sealed;
// v holds then what could be read.
func Unseal(b []byte, v any) error {
	_, body, _ := bytes.Cut(b, []byte("\n"))
	whole := bytes.HasPrefix(b, fmt.Appendf(nil, sealFormat, crc32.Checksum(body, castagnoli)))
	err := json.Unmarshal(b, v)
	if !whole {
		return ErrChanged
	}
	return err
}

// sealConfig puts the checksum of a configuration before it.
func sealConfig(text []byte) []byte {
	return append(fmt.Appendf(nil, configSealFormat, crc32.Checksum(text, castagnoli)), text...)
}

// unsealConfig takes it off again, and reports whether the text is as it was written.
func unsealConfig(b []byte) (text []byte, whole bool) {
	if !bytes.HasPrefix(b, []byte(configSealPrefix)) {
		return b, false
	}
	line, text, _ := bytes.Cut(b, []byte("\n"))
	return text, string(line)+"\n" == fmt.Sprintf(configSealFormat, crc32.Checksum(text, castagnoli))
}
