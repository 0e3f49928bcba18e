// Package model is the vocabulary of connectionsd: Socket, Snapshot,
// Connection, Listener and Flow, their rules and their JSON.
//
// A [Socket] is what the kernel said of one TCP socket, in the kernel's own
// units. [Known] is what else this host knows of it. A [Snapshot] holds both
// for every socket of one dump. [Connection], [Listener] and [Flow] are what
// the two faces make of it: that is where meaning begins.
//
// It imports nothing of this project and nothing outside the standard library,
// and it builds on every system.
package model
