package model

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
)

// ConnectionIDs makes the connection_id of sockets: 16 bytes, the same for a
// socket's life and over restarts of the daemon on one boot, different for
// every other socket of the boot.
//
// It is the AES-128 encryption of (network namespace, cookie) under the boot
// id. Encryption is a permutation, so two sockets cannot share an id, which a
// hash could only make unlikely; and it costs nanoseconds. Nothing about it is
// secret.
type ConnectionIDs struct {
	block cipher.Block
}

// NewConnectionIDs returns the ids of the boot with the given boot id
// (/proc/sys/kernel/random/boot_id, as its 16 bytes).
func NewConnectionIDs(boot [16]byte) *ConnectionIDs {
	block, err := aes.NewCipher(boot[:])
	if err != nil {
		panic("model: AES with a 16-byte key: " + err.Error()) // cannot be: only the key's length is checked
	}
	return &ConnectionIDs{block: block}
}

// Put writes the connection_id of s to id. It is called through an interface,
// so that an id on the caller's stack moves to the heap: callers that make many
// keep one.
func (ids *ConnectionIDs) Put(id *[16]byte, s *Socket) {
	binary.BigEndian.PutUint64(id[:8], uint64(s.NetNS))
	binary.BigEndian.PutUint64(id[8:], s.Cookie)
	ids.block.Encrypt(id[:], id[:])
}
