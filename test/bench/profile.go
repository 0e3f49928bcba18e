//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime/pprof"
	"strconv"

	"github.com/rs/zerolog"

	"github.com/connectionsd/connectionsd/collector"
	"github.com/connectionsd/connectionsd/collector/owner"
	"github.com/connectionsd/connectionsd/collector/service"
	"github.com/connectionsd/connectionsd/rpc"
)

// fetchCommand is the first argument of a process that asks.
const fetchCommand = "fetch"

// profiled is how many requests a profile is taken of.
const profiled = 60

// profiles takes the profiles that the flags ask for. The daemon serves none, so
// its parts are put together in this process; a process of its own asks, and is
// not in the profile.
func profiles(ctx context.Context, o options, _ int, _ *section) (err error) {
	if o.profile == "" && o.profileREST == "" {
		return nil
	}
	iterator, err := owner.OpenIterator()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, iterator.Close()) }()
	services, err := service.WithRegistered("/etc/services")
	if err != nil {
		return err
	}
	host, stop, err := collect(ctx, collector.HostOptions{Owners: iterator, Services: services})
	if err != nil {
		return err
	}
	defer stop()
	address, stopServing, err := serveHere(ctx, host, services)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopServing()) }()
	for _, p := range []struct{ file, what string }{{o.profile, jsonrpcName}, {o.profileREST, apiConnections}} {
		if p.file == "" {
			continue
		}
		if err := profile(ctx, p.file, address, p.what); err != nil {
			return fmt.Errorf("take a profile of %s: %w", p.what, err)
		}
	}
	return nil
}

// profile takes a profile of this process while another asks.
func profile(ctx context.Context, path, address, what string) (err error) {
	warm := exec.CommandContext(ctx, "/proc/self/exe", fetchCommand, address, what, "3")
	if out, err := warm.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if err := pprof.StartCPUProfile(file); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	asking := exec.CommandContext(ctx, "/proc/self/exe", fetchCommand, address, what, strconv.Itoa(profiled))
	if out, err := asking.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// fetch is the process whose arguments are an address, what to ask for there,
// and how often.
func fetch(ctx context.Context, args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("%s has %d arguments, want 3", fetchCommand, len(args))
	}
	often, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	request := call(getConnections)
	if args[1] == apiConnections {
		request = get(apiConnections)
	}
	c, err := dial(ctx, args[0])
	if err != nil {
		return err
	}
	defer c.close()
	for range often {
		if err := c.skip(request); err != nil {
			return err
		}
	}
	return nil
}

// serveHere serves what the daemon serves, on a free port, until stop is called.
func serveHere(ctx context.Context, host *collector.Collector, services *service.Table) (address string, stop func() error, err error) {
	router := rpc.NewRouter(zerolog.Nop())
	router.HandleStream("get_connections", rpc.GetConnections(host, rpc.ConnectionsOptions{}))
	server := rpc.Server{Log: zerolog.Nop(), Handler: rpc.NewHandler(rpc.Options{
		Router:      router,
		Connections: rpc.RESTConnections(host, services, 0, zerolog.Nop()),
		Log:         zerolog.Nop(),
	})}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("listen: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, listener) }()
	return listener.Addr().String(), func() error { cancel(); return <-served }, nil
}
