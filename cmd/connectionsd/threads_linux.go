package main

import (
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// waitingThreads is how many threads can be within a system call that takes long, each besides those that run Go: one
// asks for a dump of a part, one reads /proc and one writes to the log.
const waitingThreads = 3

// manyRunning is how many threads that run Go are made at the start at the most. On a host of more processors the others come when
// they have work, as everywhere.
const manyRunning = 4

// threadWait is for how long each holds its thread: Go looks every 10 ms at the latest who has been in a system call since it
// looked last (sysmon of runtime/proc.go), and makes a thread for those who could run meanwhile.
const threadWait = 25 * time.Millisecond

// makeThreads has Go make at the start those threads that it would make the first time that as many system calls take long at once, which
// can be weeks later. Where the kernel refuses one, since there are too many (TasksMax=, RLIMIT_NPROC), Go ends the process: then it
// ends at the start, where it is seen. And a count of threads that grows later means that something is wrong.
func makeThreads() {
	var waiting sync.WaitGroup
	for range waitingThreads + min(runtime.GOMAXPROCS(0), manyRunning) {
		waiting.Go(func() {
			wait := unix.NsecToTimespec(threadWait.Nanoseconds())
			_ = unix.Nanosleep(&wait, nil) // a signal may cut it short
		})
	}
	waiting.Wait()
}
