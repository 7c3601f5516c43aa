package corpus

import (
	"errors"
	"fmt"
	"io"

	"coil/format"
)

// A ColumnReader reads a column of a file that is a table: size is the file's in bytes. It calls yield with each row, in their
// order, and ends with its error. Its own errors are [ErrDamaged], [ErrNotTexts] and [*NoColumnError].
type ColumnReader func(file io.ReaderAt, size int64, column string, yield func(Row) error) error

// Row is what a column has in a row.
type Row struct {
	Text []byte // valid during the call of yield
	Null bool   // there is no text
	Of   int64  // rows of the file
}

var (
	// ErrDamaged is the error of a file that is no table, or contradicts itself.
	ErrDamaged = errors.New("the parquet file is damaged, or not one; fetch it again")
	// ErrNotTexts is the error of a column that has something else than one text a row.
	ErrNotTexts = errors.New("the column is not of texts")
)

// NoColumnError is the error of a table without the column that is asked for.
type NoColumnError struct {
	Columns []string // that there are
}

func (e *NoColumnError) Error() string { return "there is no such column" + names("column", e.Columns) }

// parquet reads parquet files, if the program has package corpus/parquet.
var parquet ColumnReader

// RegisterParquet sets what reads parquet files. Package coil/corpus/parquet calls it when it is imported. So only programs that
// need its large library have it.
func RegisterParquet(read ColumnReader) { parquet = read }

// table reads the texts in a column of a table.
func (r *reader) table(f io.ReaderAt) error {
	if parquet == nil {
		return fmt.Errorf("%s: this program can't read parquet files: build it with the package coil/corpus/parquet, or convert the file to JSON lines", r.Path)
	}
	row := int64(0)
	err := parquet(f, r.Size, r.Field, func(x Row) error {
		row++
		r.consumed.Store(int64(float64(r.Size) * min(1, float64(row)/float64(max(1, x.Of)))))
		return r.row(x, row)
	})
	missing := (*NoColumnError)(nil)
	switch {
	case errors.Is(err, ErrDamaged):
		return r.wrong("row", row+1, "%v", err)
	case errors.Is(err, ErrNotTexts):
		return fmt.Errorf("%s: the column %q is not of texts; set task.text.field", r.Path, r.Field)
	case errors.As(err, &missing):
		return fmt.Errorf("%s: there is no column %q%s; set task.text.field", r.Path, r.Field, names("column", missing.Columns))
	}
	return err
}

// row yields the document in a row.
func (r *reader) row(x Row, number int64) error {
	if x.Null {
		return r.wrong("row", number, "the column %q is null", r.Field)
	}
	if len(x.Text) > r.longest {
		return r.wrong("row", number, "the text is longer than %s", format.Bytes(r.longest))
	}
	if i := invalid(x.Text); i >= 0 {
		return r.wrong("row", number, "the byte %#02x at position %s of the text is not UTF-8", x.Text[i], format.Count(i+1))
	}
	return r.emit(x.Text, number)
}
