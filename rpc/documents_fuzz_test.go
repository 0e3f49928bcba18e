package rpc

import (
	"encoding/json"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// A value that the documents forbid is not taken, and one that they allow is.
func FuzzDocumentedParameters(f *testing.F) {
	for i := range parameters() {
		for _, value := range []string{
			`true`, `null`, `0`, `1`, `1.0`, `1e3`, `65536`, `2147483648`, `"x"`, `""`, `[]`, `[1,65535]`, `["ESTABLISHED","standby"]`, `{"a":[]}`, `-0`,
			`"192.0.2.0/24"`, `["2001:db8::/32","::1"]`, `"fe80::1%eth0"`, `"192.0.2.1/33"`, `"\u0031"`, `"::ffff:192.0.2.1"`, `"::ffff:192.0.2.0/120"`, `"::192.0.2.1/97"`, `["normal","NORMAL","fin-wait1"]`,
		} {
			f.Add(byte(i), []byte(value))
		}
	}
	known := parameters()
	var schemas map[string]map[string]*jsonschema.Schema
	var once sync.Once
	long := regexp.MustCompile(`[0-9.eE+-]{16,}`) // a number of more digits than a float64 has, as which it is read, loses some
	f.Fuzz(func(t *testing.T, which byte, value []byte) {
		once.Do(func() { schemas = documentedParameters(t) })
		name := known[int(which)%len(known)].name
		if checkJSON(value) != nil || long.Match(value) {
			return
		}
		p, err := parseConnectionsParams(json.RawMessage(`{"` + name + `":` + string(value) + `}`))
		if err == nil && name == "states" {
			// The documents say in words that case does not matter.
			value = []byte(strings.ReplaceAll(strings.ToUpper(string(value)), "-", "_"))
			for _, word := range []string{"before_handshake", "normal", "standby"} {
				value = []byte(strings.ReplaceAll(string(value), strings.ToUpper(word), word))
			}
		}
		for where, schemas := range schemas {
			if allowed := schemas[name].Validate(jsonValue(t, value)); (err == nil) != (allowed == nil) {
				t.Errorf("%s: %s %s: the schema says %v, the code %v (%+v)", where, name, value, allowed, err, p)
			}
		}
	})
}
