package container

import (
	"bytes"
	"strings"
)

// mount is a mounted file system.
type mount struct {
	// root is the directory of the file system that stands at point.
	root string
	// point is where it is mounted.
	point string
}

// cgroup2Mounts returns the mounts of the unified cgroup hierarchy that
// /proc/self/mountinfo tells of (proc_pid_mountinfo(5)).
func cgroup2Mounts(mountinfo []byte) []mount {
	var mounts []mount
	for line := range bytes.Lines(mountinfo) {
		// 41 31 0:38 / /sys/fs/cgroup rw,relatime shared:9 - cgroup2 cgroup2 rw
		where, what, ok := bytes.Cut(line, []byte(" - "))
		if !ok || !bytes.HasPrefix(what, []byte("cgroup2 ")) {
			continue
		}
		fields := bytes.Fields(where)
		if len(fields) < 6 {
			continue
		}
		m := mount{root: unescape(string(fields[3])), point: unescape(string(fields[4]))}
		if strings.HasPrefix(m.point, "/") {
			mounts = append(mounts, m)
		}
	}
	return mounts
}

// unescape undoes the kernel's mangle_path, which writes a space, a tab, a
// newline, a backslash and # as three octal digits behind a backslash.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) && isOctal(s[i+1]) && isOctal(s[i+2]) && isOctal(s[i+3]) {
			b = append(b, (s[i+1]-'0')<<6|(s[i+2]-'0')<<3|(s[i+3]-'0'))
			i += 3
			continue
		}
		b = append(b, s[i])
	}
	return string(b)
}

func isOctal(c byte) bool { return '0' <= c && c <= '7' }
