package corpus

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"coil/format"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	form "github.com/parquet-go/parquet-go/format"
)

const (
	// largestFooter and largestPage bound what a parquet file makes its reader allocate: files say how large their parts are.
	largestFooter, largestPage = 64 << 20, 256 << 20
	// mostValues is the most values of a page. Pages have some thousand.
	mostValues = 1 << 24
)

// errDamaged is the error of a parquet file that contradicts itself.
var errDamaged = errors.New("the parquet file is damaged, or not one; fetch it again")

// parquet reads the values of one column.
func (r *reader) parquet(f io.ReaderAt) error {
	row := int64(0)
	err := r.column(f, &row)
	if errors.Is(err, errDamaged) {
		return r.wrong("row", row+1, "%v", err)
	}
	return err
}

// column yields the values of the column, and counts them in row.
func (r *reader) column(f io.ReaderAt, row *int64) (err error) {
	var raised error // by yield, or of a value
	defer func() {
		if recover() != nil { // the library's checks of damaged files are not complete
			err = errDamaged
		}
		if raised != nil {
			err = raised
		}
	}()
	if err := checkFooter(f, r.Size); err != nil {
		return err
	}
	file, err := parquet.OpenFile(f, r.Size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return errDamaged
	}
	column := file.Root().Column(r.Field)
	if column == nil {
		var all []string
		for _, c := range file.Root().Columns() {
			all = append(all, c.Name())
		}
		return fmt.Errorf("%s: there is no column %q%s; set task.text.field", r.Path, r.Field, names("column", all))
	}
	if !column.Leaf() || column.Repeated() || column.Type().Kind() != parquet.ByteArray {
		return fmt.Errorf("%s: the column %q is not of texts; set task.text.field", r.Path, r.Field)
	}
	values := make([]parquet.Value, 256)
	for i, group := range file.RowGroups() {
		if err := checkPages(f, r.Size, &file.Metadata().RowGroups[i], column.Index()); err != nil {
			return err
		}
		pages := group.ColumnChunks()[column.Index()].Pages()
		for {
			page, err := pages.ReadPage()
			if err == io.EOF {
				break
			}
			if err != nil {
				pages.Close()
				return errDamaged
			}
			raised, err = r.page(page.Values(), values, row)
			parquet.Release(page)
			if raised != nil || err != nil {
				pages.Close()
				return err
			}
			if rows := file.NumRows(); rows > 0 {
				r.consumed.Store(int64(float64(r.Size) * min(1, float64(*row)/float64(rows))))
			}
		}
		if pages.Close() != nil {
			return errDamaged
		}
	}
	if *row != file.NumRows() {
		return errDamaged
	}
	return nil
}

// page yields the values of a page. raised is an error that is not of the file's structure.
func (r *reader) page(from parquet.ValueReader, values []parquet.Value, row *int64) (raised, err error) {
	for {
		n, err := from.ReadValues(values)
		for _, v := range values[:n] {
			*row++
			if raised := r.value(v, *row); raised != nil {
				return raised, nil
			}
		}
		switch {
		case err == io.EOF:
			return nil, nil
		case err != nil || n == 0:
			return nil, errDamaged
		}
	}
}

// value yields the document in a row.
func (r *reader) value(v parquet.Value, row int64) error {
	if v.IsNull() {
		return r.wrong("row", row, "the column %q is null", r.Field)
	}
	text := v.ByteArray()
	if len(text) > r.longest {
		return r.wrong("row", row, "the text is longer than %s", format.Bytes(r.longest))
	}
	if i := invalid(text); i >= 0 {
		return r.wrong("row", row, "the byte %#02x at position %s of the text is not UTF-8", text[i], format.Count(i+1))
	}
	return r.emit(text, row)
}

// checkFooter returns an error unless a file ends as a parquet file does, with a footer of a possible size.
func checkFooter(f io.ReaderAt, size int64) error {
	var end [8]byte
	if size < 12 {
		return errDamaged
	}
	if _, err := f.ReadAt(end[:], size-8); err != nil || string(end[4:]) != "PAR1" {
		return errDamaged
	}
	if n := int64(binary.LittleEndian.Uint32(end[:])); n > size-12 || n > largestFooter {
		return errDamaged
	}
	return nil
}

// checkPages returns an error unless the pages of a column have possible sizes. The library allocates what they say.
func checkPages(f io.ReaderAt, size int64, group *form.RowGroup, column int) error {
	if column >= len(group.Columns) {
		return errDamaged
	}
	about := &group.Columns[column].MetaData
	at := about.DataPageOffset
	if d := about.DictionaryPageOffset; d > 0 && d < at {
		at = d
	}
	end := at + about.TotalCompressedSize
	if at < 4 || about.TotalCompressedSize < 0 || end > size {
		return errDamaged
	}
	for at < end {
		var header form.PageHeader
		n, err := pageHeader(f, at, end, &header)
		if err != nil {
			return err
		}
		values := max(header.DataPageHeader.V.NumValues, header.DataPageHeaderV2.V.NumValues, header.DictionaryPageHeader.V.NumValues)
		next := at + n + int64(header.CompressedPageSize)
		if header.CompressedPageSize < 0 || next > end || header.UncompressedPageSize < 0 || header.UncompressedPageSize > largestPage || values > mostValues {
			return errDamaged
		}
		at = next
	}
	return nil
}

// pageHeader reads the header of a page, and returns its size.
func pageHeader(f io.ReaderAt, at, end int64, header *form.PageHeader) (int64, error) {
	for _, most := range []int64{4 << 10, 1 << 20} { // some hold the least and the greatest value
		b := make([]byte, min(most, end-at))
		if _, err := f.ReadAt(b, at); err != nil {
			return 0, errDamaged
		}
		from := new(thrift.CompactProtocol).NewReaderFromBytes(b)
		*header = form.PageHeader{}
		if thrift.NewDecoder(from).Decode(header) == nil {
			return int64(from.BytesRead()), nil
		}
	}
	return 0, errDamaged
}
