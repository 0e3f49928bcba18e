package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/rs/zerolog"

	"github.com/connectionsd/connectionsd/collector"
	"github.com/connectionsd/connectionsd/collector/capability"
	"github.com/connectionsd/connectionsd/collector/container"
	"github.com/connectionsd/connectionsd/collector/netns"
	"github.com/connectionsd/connectionsd/collector/owner"
	"github.com/connectionsd/connectionsd/collector/process"
	"github.com/connectionsd/connectionsd/collector/service"
	"github.com/connectionsd/connectionsd/model"
	"github.com/connectionsd/connectionsd/rpc"
)

// hostSource asks this host itself, as serve does.
type hostSource struct {
	host    rpc.Collector
	methods map[question]rpc.StreamHandler
	stop    context.CancelFunc
	done    sync.WaitGroup
}

func openHost(ctx context.Context, o *lookOptions, stderr io.Writer) (source, error) {
	if name := o.serve.NetNS.Name; name != "" {
		if _, err := os.Stat(filepath.Join(netns.RunDir, name)); err != nil {
			return nil, fmt.Errorf("--netns %s: %w", name, err)
		}
	}
	if err := sayWhatIsMissing(o.serve.NetNS, stderr); err != nil {
		return nil, err
	}
	guessed := strings.Join(o.serve.ContainerAPIs, ",") == defaultContainerAPIs
	engines, err := container.New(container.Options{
		Hosts:   slices.DeleteFunc(slices.Clone(o.serve.ContainerAPIs), func(host string) bool { return host == noContainerAPI }),
		Guessed: guessed,
		Log:     zerolog.Nop(), // Problems tells
	})
	if err != nil {
		return nil, &usageError{fmt.Errorf("--container-api: %w", err)}
	}
	services, _ := service.WithRegistered(registeredServices) // without those, which are worth no word, it has the built-in ones
	host, err := collector.NewHost(collector.HostOptions{     // a sample that fails is nobody's loss: the snapshot tells of its own dump
		NetNS: o.serve.NetNS, Services: services, CommandLines: process.Redacted, Engines: engines.Current,
	})
	if err != nil {
		return nil, err
	}
	s := &hostSource{host: host, methods: map[question]rpc.StreamHandler{
		getConnections: rpc.GetConnections(host, rpc.ConnectionsOptions{}),
		apiConnections: rpc.APIConnections(host, services),
	}}
	// The collector outlives ctx, so that what ended ctx is the reason that is told, not that the collector has stopped.
	collecting, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	s.done.Go(func() { host.Run(collecting) })
	s.done.Go(func() { engines.Run(collecting) })
	select {
	case <-engines.Asked():
	case <-ctx.Done():
		s.close()
		return nil, context.Cause(ctx)
	}
	if !guessed { // a host without containers has no engine
		for _, problem := range engines.Problems() {
			fmt.Fprintf(stderr, "connectionsd: --container-api: %s\n", problem)
		}
	}
	return s, nil
}

// ask asks the kernel.
func (s *hostSource) ask(ctx context.Context, q question, params json.RawMessage) ([]byte, error) {
	var result rpc.Reply
	err := s.methods[q](ctx, params, &result)
	return result.Buf, err
}

// connections asks the kernel, and makes no JSON of it.
func (s *hostSource) connections(ctx context.Context, params json.RawMessage) ([]entry, error) {
	records, err := rpc.ConnectionRecords(ctx, s.host, params)
	if err != nil {
		return nil, err
	}
	entries := make([]entry, len(records))
	for i := range records {
		entries[i] = entryOf(&records[i])
	}
	return entries, nil
}

// entryOf returns an extended record as an entry. Its rates need two looks.
func entryOf(c *model.Connection) entry {
	d := c.Socket
	e := entry{
		id: hex.EncodeToString(c.ID[:]), incoming: c.Incoming, state: d.TCPState.String(), local: end{addr: d.Local}, remote: end{addr: c.Remote},
		liveTime: c.LiveTime, exact: d.LiveTimeExact, recv: c.RecvCount, sent: c.SendCount, recvIdle: c.RecvIdleTime, sentIdle: c.SendIdleTime,
		process: d.ProcessName,
		socket: &socketRecord{
			CongestionState: d.CongestionState.String(), CongestionWindow: uint64(d.CongestionWindow), RTT: uint64(d.RTT), MinRTT: uint64(d.MinRTT),
			Retransmits: uint64(d.Retransmits), DeliveryRate: d.DeliveryRate, UID: uint64(d.UID), NetNS: uint64(d.NetNS), Inode: uint64(d.Inode),
			Cookie: d.Cookie, PID: uint64(d.PID),
		},
	}
	if d.Container != nil {
		e.container, e.engine = d.Container.Shown(), d.Container.Runtime
	}
	return e
}

func (s *hostSource) close() {
	s.stop()
	s.done.Wait()
}

// sayWhatIsMissing writes to stderr, in one line, what this process may not see.
func sayWhatIsMissing(which collector.NetNS, stderr io.Writer) error {
	checks := []func() error{owner.CheckPrivilege, container.CheckPrivilege}
	if which != (collector.NetNS{}) {
		checks = append(checks, netns.CheckPrivilege)
	}
	var lacks []string
	for _, check := range checks {
		err := check()
		var missing *capability.MissingError
		switch {
		case err == nil:
		case errors.As(err, &missing):
			lacks = append(lacks, missing.Error())
		default:
			return err
		}
	}
	if lacks != nil {
		fmt.Fprintf(stderr, "connectionsd: %s\n", strings.Join(lacks, "; "))
	}
	return nil
}
