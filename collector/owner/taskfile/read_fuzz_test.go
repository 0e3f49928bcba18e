//go:build linux

package taskfile

import (
	"bytes"
	"encoding/binary"
	"io"
	"slices"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// inParts are bytes that come in parts of the sizes, the last of which counts for the rest, with a pause of the kernel's
// between two.
func inParts(b []byte, sizes []byte) answers {
	var parts answers
	for i := 0; len(b) > 0; i++ {
		size := len(b)
		if len(sizes) > 0 {
			size = min(size, max(1, 4*int(sizes[min(i, len(sizes)-1)])))
		}
		parts = append(parts, struct {
			b   []byte
			err error
		}{b: b[:size]}, struct {
			b   []byte
			err error
		}{err: unix.EAGAIN})
		b = b[size:]
	}
	return parts
}

// readBy reads records with read, and holds them against those that encoding/binary reads: all up to the first part that is
// no whole number of them.
func readBy[T Record | Connection](t *testing.T, b, sizes []byte) {
	t.Helper()
	parts := inParts(b, sizes)
	var want []T
	size := int(unsafe.Sizeof(*new(T)))
	whole := true
	for _, part := range parts {
		if whole = len(part.b)%size == 0; !whole {
			break
		}
		for reader := bytes.NewReader(part.b); ; {
			var record T
			if binary.Read(reader, binary.NativeEndian, &record) == io.EOF {
				break
			}
			want = append(want, record)
		}
	}
	there := *new(T)
	before := []T{there}
	got, err := read(t.Context(), &parts, before)
	if (err == nil) != whole {
		t.Fatalf("error %v, of whole parts %t", err, whole)
	}
	if want := append(before, want...); !slices.Equal(want, got) { // cmp takes a millisecond for a hundred
		t.Fatalf("records (-want +got):\n%s", cmp.Diff(want, got))
	}
	if most := 2*len(b)/size + 3*room/size; cap(got) > most {
		t.Fatalf("room for %d records, want at most %d for %d bytes", cap(got), most, len(b))
	}
}

// What the BPF programs write is read as it lies there, however the kernel cuts it.
func FuzzRead(f *testing.F) {
	if binary.Size(Record{}) != int(unsafe.Sizeof(Record{})) || binary.Size(Connection{}) != int(unsafe.Sizeof(Connection{})) {
		f.Fatal("a record has gaps, which the BPF program would have to fill")
	}
	f.Add([]byte{}, []byte{})
	f.Add(bytesAs(Record{TGID: 7, Inode: 1}, Record{TGID: 8, Inode: 1<<32 - 1}), []byte{})
	f.Add(bytes.Repeat([]byte{1, 2, 3, 4, 5, 6, 7}, 56*8), []byte{14, 28, 2})
	f.Add(make([]byte, 56*10), []byte{2, 14})
	f.Add(make([]byte, 100), []byte{255})
	f.Fuzz(func(t *testing.T, b, sizes []byte) {
		readBy[Record](t, b, sizes)
		readBy[Connection](t, b, sizes)
	})
}
