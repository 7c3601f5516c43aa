// Package parquet reads parquet files for package corpus. To import it suffices:
//
//	import _ "coil/corpus/parquet"
//
// It stands by itself because its library is large.
package parquet

import (
	"encoding/binary"
	"io"

	"coil/corpus"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

func init() { corpus.RegisterParquet(column) }

const (
	// largestFooter and largestPage bound what a parquet file makes its reader allocate: files say how large their parts are.
	largestFooter, largestPage = 64 << 20, 256 << 20
	// mostValues is the most values of a page. Pages have some thousand.
	mostValues = 1 << 24
)

// column is a [corpus.ColumnReader].
func column(f io.ReaderAt, size int64, name string, yield func(corpus.Row) error) (err error) {
	var raised error // by yield
	defer func() {
		if recover() != nil { // the library's checks of damaged files are not complete
			err = corpus.ErrDamaged
		}
		if raised != nil {
			err = raised
		}
	}()
	if err := checkFooter(f, size); err != nil {
		return err
	}
	file, err := parquet.OpenFile(f, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return corpus.ErrDamaged
	}
	column := file.Root().Column(name)
	if column == nil {
		var all []string
		for _, c := range file.Root().Columns() {
			all = append(all, c.Name())
		}
		return &corpus.NoColumnError{Columns: all}
	}
	if !column.Leaf() || column.Repeated() || column.Type().Kind() != parquet.ByteArray {
		return corpus.ErrNotTexts
	}
	row, rows := int64(0), file.NumRows()
	values := make([]parquet.Value, 256)
	for i, group := range file.RowGroups() {
		if err := checkPages(f, size, &file.Metadata().RowGroups[i], column.Index()); err != nil {
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
				return corpus.ErrDamaged
			}
			n := int64(0)
			n, raised, err = texts(page.Values(), values, rows, yield)
			row += n
			parquet.Release(page)
			if raised != nil || err != nil {
				pages.Close()
				return err
			}
		}
		if pages.Close() != nil {
			return corpus.ErrDamaged
		}
	}
	if row != rows {
		return corpus.ErrDamaged
	}
	return nil
}

// texts yields the values of a page, and counts them. raised is an error of yield.
func texts(from parquet.ValueReader, values []parquet.Value, rows int64, yield func(corpus.Row) error) (count int64, raised, err error) {
	for {
		n, err := from.ReadValues(values)
		for _, v := range values[:n] {
			count++
			if raised := yield(corpus.Row{Text: v.ByteArray(), Null: v.IsNull(), Of: rows}); raised != nil {
				return count, raised, nil
			}
		}
		switch {
		case err == io.EOF:
			return count, nil, nil
		case err != nil || n == 0:
			return count, nil, corpus.ErrDamaged
		}
	}
}

// checkFooter returns an error unless a file ends as a parquet file does, with a footer of a possible size.
func checkFooter(f io.ReaderAt, size int64) error {
	var end [8]byte
	if size < 12 {
		return corpus.ErrDamaged
	}
	if _, err := f.ReadAt(end[:], size-8); err != nil || string(end[4:]) != "PAR1" {
		return corpus.ErrDamaged
	}
	if n := int64(binary.LittleEndian.Uint32(end[:])); n > size-12 || n > largestFooter {
		return corpus.ErrDamaged
	}
	return nil
}

// checkPages returns an error unless the pages of a column have possible sizes. The library allocates what they say.
func checkPages(f io.ReaderAt, size int64, group *format.RowGroup, column int) error {
	if column >= len(group.Columns) {
		return corpus.ErrDamaged
	}
	about := &group.Columns[column].MetaData
	at := about.DataPageOffset
	if d := about.DictionaryPageOffset; d > 0 && d < at {
		at = d
	}
	end := at + about.TotalCompressedSize
	if at < 4 || about.TotalCompressedSize < 0 || end > size {
		return corpus.ErrDamaged
	}
	for at < end {
		var header format.PageHeader
		n, err := pageHeader(f, at, end, &header)
		if err != nil {
			return err
		}
		values := max(header.DataPageHeader.V.NumValues, header.DataPageHeaderV2.V.NumValues, header.DictionaryPageHeader.V.NumValues)
		next := at + n + int64(header.CompressedPageSize)
		if header.CompressedPageSize < 0 || next > end || header.UncompressedPageSize < 0 || header.UncompressedPageSize > largestPage || values > mostValues {
			return corpus.ErrDamaged
		}
		at = next
	}
	return nil
}

// pageHeader reads the header of a page, and returns its size.
func pageHeader(f io.ReaderAt, at, end int64, header *format.PageHeader) (int64, error) {
	for _, most := range []int64{4 << 10, 1 << 20} { // some hold the least and the greatest value
		b := make([]byte, min(most, end-at))
		if _, err := f.ReadAt(b, at); err != nil {
			return 0, corpus.ErrDamaged
		}
		from := new(thrift.CompactProtocol).NewReaderFromBytes(b)
		*header = format.PageHeader{}
		if thrift.NewDecoder(from).Decode(header) == nil {
			return int64(from.BytesRead()), nil
		}
	}
	return 0, corpus.ErrDamaged
}
