package rpc

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/connectionsd/connectionsd/test/malformed"
)

// Whatever is wrong with a request, the client is told that it is the client's fault, and soon.
func TestMalformedRequests(t *testing.T) {
	const (
		count   = 1500 // the tests of the whole daemon send more
		clients = 4
	)
	l := listen(t)
	opts := documentedOptions(&stillness{snap: aRichHost()})
	stop, ended := start(t, &Server{Handler: NewHandler(opts), Connections: NewConnections(ConnectionLimits{All: 100})}, l)
	requests := make(chan malformed.Request)
	var group sync.WaitGroup
	var mu sync.Mutex
	statuses := make(map[string]int)
	for range clients {
		group.Go(func() {
			for request := range requests {
				ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second) // less than the server's own deadlines
				answer, err := malformed.Send(ctx, l.Addr().String(), request)
				cancel()
				if err == nil {
					err = answer.Check(request)
				}
				if err != nil {
					t.Errorf("%v: %v", request, err)
				}
				mu.Lock()
				statuses[fmt.Sprint(answer.Status)]++
				mu.Unlock()
			}
		})
	}
	sent := 0
	for request := range malformed.Requests() {
		requests <- request
		if sent++; sent == count {
			break
		}
	}
	close(requests)
	group.Wait()
	for _, status := range []string{"200", "400", "404", "405", "413", "414", "417", "431"} {
		if statuses[status] == 0 {
			t.Errorf("no request was answered with %s: %v", status, statuses)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
}
