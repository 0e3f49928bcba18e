//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/connectionsd/connectionsd/test/measuring"
)

// restartWithin is how long a daemon may take, from exec(2) on, until it has answered.
const restartWithin = 100 * time.Millisecond

// tryRestart kills the daemon and starts it again, on the same port.
func tryRestart(ctx context.Context, o options) (_ *section, err error) {
	survivor, err := makeSurvivor()
	if err != nil {
		return nil, err
	}
	defer survivor.close()
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	var took []time.Duration
	ids := make(map[string]int)
	for range o.restarts + 1 {
		d, stdout, err := launch(ctx, o.daemon, port, "--rate-limit", "0")
		if err != nil {
			return nil, err
		}
		d.follow()
		_ = stdout // what it prints fits into the pipe
		id, after, err := d.firstAnswer(ctx, survivor.remote())
		if err != nil {
			return nil, errors.Join(err, d.close())
		}
		ids[id]++
		took = append(took, after)
		if _, err := d.end(syscall.SIGKILL); err != nil {
			return nil, err
		}
	}
	took = took[1:] // the first start may have had to read the program from a disk
	return &section{figures: []figure{
		told("kill -9 and start", "%d times", len(took)),
		o.timed("from exec to the first answer, median", milliseconds(measuring.Median(took)), "within 100 ms", measuring.Median(took) <= restartWithin),
		o.timed("from exec to the first answer, the longest", milliseconds(measuring.Percentile(took, 100)), "within 100 ms", measuring.Percentile(took, 100) <= restartWithin),
		wants("connection_id of a connection that survives", fmt.Sprintf("%d different", len(ids)), "1", len(ids) == 1),
	}}, nil
}

// freePort returns a port that nobody listens on. In this namespace nobody else takes it.
func freePort() (uint16, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).AddrPort().Port(), nil
}

// survivor is a connection that is there all the time.
type survivor struct{ opener, accepted net.Conn }

func makeSurvivor() (s survivor, err error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return s, err
	}
	defer l.Close()
	if s.opener, err = net.Dial("tcp4", l.Addr().String()); err != nil {
		return s, err
	}
	s.accepted, err = l.Accept()
	return s, err
}

// remote is the remote end of the opener.
func (s survivor) remote() string { return s.opener.RemoteAddr().String() }

func (s survivor) close() {
	s.opener.Close()
	s.accepted.Close()
}

// firstAnswer asks until there is an answer, and returns the connection_id of the connection to remote that is in it, and
// how long after its start the daemon had answered.
func (d *daemon) firstAnswer(ctx context.Context, remote string) (id string, after time.Duration, err error) {
	const most = 10 * time.Second
	for time.Since(d.started) < most {
		select {
		case <-d.exited:
			return "", 0, fmt.Errorf("the daemon has ended: %s", d.log)
		default:
		}
		c, err := dial(ctx, clientAddress(honestClients, 1), d.address)
		if errors.Is(err, syscall.ECONNREFUSED) {
			if err := sleep(ctx, 200*time.Microsecond); err != nil {
				return "", 0, err
			}
			continue
		}
		if err != nil {
			return "", 0, err
		}
		a, err := c.ask(getConnections, true)
		after = time.Since(d.started)
		c.close()
		if err != nil {
			return "", 0, err
		}
		if a.status != http.StatusOK {
			return "", 0, fmt.Errorf("the first answer has status %d", a.status)
		}
		id, err = idOf(a.body, remote)
		return id, after, err
	}
	return "", 0, fmt.Errorf("the daemon does not answer within %s: %s", most, d.log)
}

// idOf returns the connection_id of the connection to remote.
func idOf(body []byte, remote string) (string, error) {
	var answer struct {
		Result struct {
			Connections []struct {
				Address      string
				ConnectionID string `json:"connection_id"`
			}
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return "", fmt.Errorf("read the answer: %w", err)
	}
	for _, c := range answer.Result.Connections {
		if c.Address == remote {
			return c.ConnectionID, nil
		}
	}
	return "", fmt.Errorf("the answer has no connection to %s: %.500s", remote, body)
}
