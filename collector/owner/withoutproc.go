//go:build linux

package owner

// WithoutProc tells the Iterator that this process will no longer be let into
// other processes' descriptors in /proc, where OpenIterator found that it was. It
// is to be called before anybody looks.
func (it *Iterator) WithoutProc() { it.some = it.someByBPF }
