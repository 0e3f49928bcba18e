//go:build linux

package owner

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// dirent is an entry as getdents64(2) makes it, padded to eight bytes.
func dirent(name string) []byte {
	b := make([]byte, (direntName+len(name)+1+7)/8*8)
	binary.NativeEndian.PutUint64(b, entryInode(name))
	binary.NativeEndian.PutUint16(b[16:], uint16(len(b)))
	b[18] = unix.DT_LNK
	copy(b[direntName:], name)
	return b
}

// entryInode is that of an entry of that name.
func entryInode(name string) uint64 { return 1<<33 + uint64(len(name)) }

// sized is an entry that says it has so many bytes.
func sized(b []byte, size int) []byte {
	b = bytes.Clone(b)
	binary.NativeEndian.PutUint16(b[16:], uint16(size))
	return b
}

func TestNextDirent(t *testing.T) {
	two := append(dirent("12345"), dirent(".")...)
	for _, test := range []struct {
		name       string
		b          []byte
		entry      string
		rest       int
		wellFormed bool
	}{
		{"the last", dirent("0"), "0\x00", 0, true},
		{"one of two", two, "12345\x00", len(dirent(".")), true},
		{"a name that fills its entry", dirent("1234"), "1234\x00", 0, true},
		{"an empty name", dirent(""), "\x00", 0, true},
		{"nothing", nil, "", 0, false},
		{"too short for a name", dirent("0")[:direntName-1], "", 0, false},
		{"longer than what there is", sized(dirent("0"), 25), "", 0, false},
		{"no length", sized(dirent("0"), 0), "", 0, false},
		{"no room for a name", sized(dirent("0"), direntName), "", 0, false},
		{"a name without an end", sized(dirent("0"), direntName+1), "", 0, false},
	} {
		entry, rest, ok := nextDirent(test.b)
		if string(entry.name) != test.entry || len(rest) != test.rest || ok != test.wellFormed {
			t.Errorf("%s: %q, %d bytes more, %t, want %q, %d, %t", test.name, entry.name, len(rest), ok, test.entry, test.rest, test.wellFormed)
		}
		if ok && entry.inode != entryInode(test.entry[:len(test.entry)-1]) {
			t.Errorf("%s: inode %d", test.name, entry.inode)
		}
	}
}

// What the kernel writes is read as it was meant.
func TestNextDirentOfADirectory(t *testing.T) {
	dir := t.TempDir()
	want := []string{".", "..", "0", "12", "345", "6789", "a name of some length"}
	for _, name := range want[2:] {
		if err := os.Symlink("target", filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	buf := make([]byte, 4096)
	n, err := unix.Getdents(fd, buf)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for rest := buf[:n]; len(rest) > 0; {
		entry, after, ok := nextDirent(rest)
		if !ok {
			t.Fatalf("entry %q", rest)
		}
		name := string(entry.name[:len(entry.name)-1])
		var is unix.Stat_t
		if err := unix.Lstat(filepath.Join(dir, name), &is); err != nil || name != ".." && entry.inode != is.Ino {
			t.Errorf("%s: inode %d, error %v, want %d", name, entry.inode, err, is.Ino)
		}
		got = append(got, name)
		rest = after
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

func FuzzDirent(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(dirent("0"))
	f.Add(append(dirent("12345"), dirent(".")...))
	f.Add(dirent("0")[:direntName])
	for _, size := range []int{0, 1, direntName - 1, direntName, direntName + 1, 25, 65535} {
		f.Add(sized(append(dirent("0"), dirent("1")...), size))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for rest := b; ; {
			entry, after, ok := nextDirent(rest)
			name := entry.name
			if !ok {
				if name != nil || entry.inode != 0 || after != nil {
					t.Fatalf("%q: not well formed, and yet %v and %q", rest, entry, after)
				}
				return
			}
			if len(after) >= len(rest) || !bytes.HasSuffix(rest, after) {
				t.Fatalf("%q: followed by %q", rest, after)
			}
			if bytes.IndexByte(name, 0) != len(name)-1 || !bytes.Contains(rest[:len(rest)-len(after)], name) {
				t.Fatalf("%q: name %q", rest, name)
			}
			rest = after
		}
	})
}
