// Command standin stands in for servers and their clients in container images: the daemon tells programs apart by the
// names that they run under, and this one runs under any name, without a library.
//
//	standin ADDRESS      listens there, at 0.0.0.0 over IPv4 alone
//	standin to ADDRESS   connects to it
//
// It keeps every connection until its peer leaves, and runs until it is ended.
package main

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "standin:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 1:
		return listen(args[0])
	case len(args) == 2 && args[0] == "to":
		c, err := net.Dial("tcp", args[1])
		if err != nil {
			return err
		}
		return hold(c)
	default:
		return fmt.Errorf("arguments %q: want ADDRESS or to ADDRESS", args)
	}
}

func listen(address string) error {
	network := "tcp"
	if at, err := netip.ParseAddrPort(address); err == nil && at.Addr().Is4() {
		network = "tcp4"
	}
	l, err := net.Listen(network, address)
	if err != nil {
		return err
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go hold(c) // how the connection ends is the peer's affair
	}
}

// hold keeps c until its peer closes it.
func hold(c net.Conn) error {
	_, err := io.Copy(io.Discard, c)
	c.Close()
	return err
}
