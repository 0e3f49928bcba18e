package rpc

import (
	"encoding/json"
	"net/http"
)

// Degradation is something that this daemon does without.
type Degradation struct {
	Feature string `json:"feature"` // what is missing, such as "owners"
	Reason  string `json:"reason"`  // why, and what would bring it back
}

// Health returns the handler of GET /healthz: the process is there and answers. It asks nothing of the kernel.
func Health() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, []byte(`{"status":"ok"}`))
	})
}

// Ready returns the handler of GET /readyz: 200 if the kernel answered when it was last asked, 503 if it did not. Both
// say what the daemon does without now, as degraded tells. lastDump returns the error of the latest dump: a probe does not make one, since it
// is not under the rate limit.
func Ready(lastDump func() error, degraded func() []Degradation) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answer := struct {
			Status   string        `json:"status"`
			Degraded []Degradation `json:"degraded"`
			Error    string        `json:"error,omitempty"`
		}{Status: "ready", Degraded: append([]Degradation{}, degraded()...)}
		status := http.StatusOK
		if lastDump() != nil { // why is in the log
			answer.Status, answer.Error = "not ready", "Failed to get connections"
			status = http.StatusServiceUnavailable
		}
		body, err := json.Marshal(answer)
		if err != nil {
			panic(err) // strings always have a JSON form
		}
		writeJSON(w, status, body)
	})
}
