//go:build linux && interop

package interop_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// request is one HTTP request that is sent to monerod and to us as it stands.
type request struct {
	name         string
	method, path string
	body         string
	contentType  string // "" for none
}

// outcome is what there is to compare of an answer.
type outcome struct {
	Status      string
	ContentType string
	// ID is the envelope's id as it stands, "" if there is none.
	ID string
	// Error is the code and the message, of the envelope or a bare error.
	Error string
	// Result has the names of the result's members with their types.
	Result string
}

// aspects are the parts of an outcome, by the names that the list has.
func (o outcome) aspects() map[string]string {
	return map[string]string{
		"status": o.Status, "content type": o.ContentType, "id": o.ID, "error": o.Error, "result": o.Result,
	}
}

// send sends r to the server at url.
func (r request) send(t *testing.T, client *http.Client, url string) outcome {
	t.Helper()
	var body io.Reader
	if r.body != "" {
		body = strings.NewReader(r.body)
	}
	request, err := http.NewRequestWithContext(t.Context(), r.method, url+r.path, body)
	if err != nil {
		t.Fatal(err)
	}
	if r.contentType != "" {
		request.Header.Set("Content-Type", r.contentType)
	}
	response, text := do(t, client, request)
	return outcomeOf(t, response, text)
}

func do(t *testing.T, client *http.Client, request *http.Request) (*http.Response, []byte) {
	t.Helper()
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, text
}

func outcomeOf(t *testing.T, response *http.Response, text []byte) outcome {
	t.Helper()
	o := outcome{Status: strconv.Itoa(response.StatusCode)}
	if header := response.Header.Get("Content-Type"); header != "" {
		var err error
		if o.ContentType, _, err = mime.ParseMediaType(header); err != nil {
			t.Errorf("Content-Type %q: %v", header, err)
		}
	}
	if o.ContentType != "application/json" || len(bytes.TrimSpace(text)) == 0 {
		return o // a page for people
	}
	var batch []json.RawMessage
	if json.Unmarshal(text, &batch) == nil {
		o.Result = fmt.Sprintf("batch of %d", len(batch))
		return o
	}
	var members map[string]json.RawMessage
	decode(t, text, &members)
	_, envelope := members["jsonrpc"]
	switch failure, failed := members["error"]; {
	case failed:
		o.Error = errorOf(failure)
	case envelope:
		o.Result = shape(members["result"])
	default:
		o.Result = shape(text)
	}
	if envelope {
		o.ID = compact(t, members["id"])
		if strings.HasPrefix(o.ID, `"`) { // however it is escaped
			var id string
			decode(t, members["id"], &id)
			o.ID = strconv.Quote(id)
		}
	}
	return o
}

// errorOf is an error object's code and message, or the text of a bare one.
func errorOf(failure json.RawMessage) string {
	var object struct {
		Code    int
		Message string
	}
	if json.Unmarshal(failure, &object) == nil {
		return fmt.Sprintf("%d %s", object.Code, object.Message)
	}
	return string(failure)
}

// shape is the names of an object's members with the types of their values.
func shape(object json.RawMessage) string {
	var members map[string]any
	if json.Unmarshal(object, &members) != nil {
		return string(object)
	}
	var words []string
	for _, name := range slices.Sorted(maps.Keys(members)) {
		kind := fmt.Sprintf("%T", members[name])
		words = append(words, name+" "+map[string]string{
			"bool": "bool", "float64": "number", "string": "string", "[]interface {}": "array", "map[string]interface {}": "object",
		}[kind])
	}
	return strings.Join(words, ", ")
}
