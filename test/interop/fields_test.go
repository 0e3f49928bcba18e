//go:build linux && interop

package interop_test

import (
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// verdict is what a comparison of one field came to.
type verdict string

const (
	equal        verdict = "equal"
	withinSecond verdict = "within 1 s"        // the two are asked one after the other, and monerod's clock has whole seconds
	placeholder  verdict = "placeholder"       // the kernel cannot know it, and ours is the documented placeholder
	listed       verdict = "listed difference" // fieldDifferences says why
	wrong        verdict = "WRONG"
)

// fieldDifferences are the fields in which a record may differ from monerod's,
// each with the reason.
var fieldDifferences = map[string]string{
	"connection_id":    "monerod draws a random UUID; ours is derived from the socket, so that it survives a restart of the daemon",
	"current_download": "monerod keeps the speed of the last packet until the next one comes; ours falls to 0",
	"current_upload":   "as current_download",
	"ip":               `monerod 0.18.0.0 leaves it "" for IPv6; later ones say it, as does ours`,
	"port":             `monerod 0.18.0.0 leaves it "" for IPv6; later ones say it, as does ours`,
	"state":            "monerod's is of the Monero handshake, which the kernel does not read; ours is of TCP",
}

// placeholders are the fields that only Monero's protocol knows.
var placeholders = map[string]string{
	"height": "0", "peer_id": "0000000000000000", "pruning_seed": "0", "rpc_credits_per_hash": "0", "rpc_port": "0", "support_flags": "0",
}

// comparison is one row of the table.
type comparison struct {
	node, connection, field string
	monerod, ours           string
	verdict                 verdict
}

// compareRecords compares monerod's record of a connection with ours, field by
// field, at a moment when the connection has been at rest.
func compareRecords(node string, theirs, ours record) []comparison {
	names := slices.Collect(maps.Keys(theirs))
	for name := range ours {
		if _, ok := theirs[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var rows []comparison
	for _, field := range names {
		row := comparison{node: node, connection: theirs.text("address"), field: field, monerod: quoted(theirs, field), ours: quoted(ours, field)}
		row.verdict = compareField(field, theirs, ours)
		rows = append(rows, row)
	}
	return rows
}

var connectionID = regexp.MustCompile(`^[0-9a-f]{32}$`)

func compareField(field string, theirs, ours record) verdict {
	_, hasTheirs := theirs[field]
	_, hasOurs := ours[field]
	if !hasTheirs || !hasOurs || fmt.Sprintf("%T", theirs[field]) != fmt.Sprintf("%T", ours[field]) {
		return wrong
	}
	if known, ok := placeholders[field]; ok {
		return check(ours.text(field) == known, placeholder)
	}
	ipv6 := theirs.text("address_type") == "2"
	switch field {
	case "connection_id":
		return check(connectionID.MatchString(ours.text(field)) && connectionID.MatchString(theirs.text(field)), listed)
	case "live_time", "recv_idle_time", "send_idle_time":
		if theirs.text(field) != ours.text(field) {
			return check(near(theirs, ours, field), withinSecond)
		}
	case "avg_download":
		return compareAverage(field, "recv_count", theirs, ours)
	case "avg_upload":
		return compareAverage(field, "send_count", theirs, ours)
	case "current_download", "current_upload":
		if ours.text(field) == "0" && theirs.text(field) != "0" {
			return listed
		}
	case "ip":
		if ipv6 && theirs.text(field) == "" {
			return check(ours.text(field) == ours.text("host"), listed)
		}
	case "port":
		if ipv6 && theirs.text(field) == "" {
			return check(strings.HasSuffix(theirs.text("address"), "]:"+ours.text(field)), listed)
		}
	case "state":
		if theirs.text(field) != "normal" {
			return check(ours.text(field) == "normal", listed) // all of them are ESTABLISHED
		}
	}
	return check(theirs.text(field) == ours.text(field), equal)
}

func check(ok bool, v verdict) verdict {
	if !ok {
		return wrong
	}
	return v
}

// near reports whether the two say the same number of seconds, or neighbours.
func near(theirs, ours record, field string) bool {
	a, okA := theirs.number(field)
	b, okB := ours.number(field)
	return okA && okB && a-b <= 1 && b-a <= 1
}

// compareAverage compares an average speed. Both must follow from the count and
// the age that the same record tells; the ages may be a second apart.
func compareAverage(field, count string, theirs, ours record) verdict {
	for _, r := range []record{theirs, ours} {
		bytes, okBytes := r.number(count)
		age, okAge := r.number("live_time")
		if !okBytes || !okAge {
			return wrong
		}
		want := int64(0)
		if age > 0 {
			want = bytes / age / 1024
		}
		if r.text(field) != strconv.FormatInt(want, 10) {
			return wrong
		}
	}
	if theirs.text(field) == ours.text(field) {
		return equal
	}
	return check(near(theirs, ours, "live_time"), withinSecond)
}

func quoted(r record, field string) string {
	v, ok := r[field]
	switch v := v.(type) {
	case string:
		return strconv.Quote(v)
	default:
		if !ok {
			return "(missing)"
		}
		return fmt.Sprint(v)
	}
}

// printTable writes the rows with a line that counts the verdicts.
func printTable(w io.Writer, rows []comparison) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "node\tconnection\tfield\tmonerod\tconnectionsd\tverdict")
	for _, r := range rows {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", r.node, r.connection, r.field, r.monerod, r.ours, r.verdict)
	}
	table.Flush()
}

// count says how many rows have each verdict.
func count(rows []comparison) string {
	counts := make(map[verdict]int)
	for _, r := range rows {
		counts[r.verdict]++
	}
	var words []string
	for _, v := range []verdict{equal, withinSecond, placeholder, listed, wrong} {
		words = append(words, fmt.Sprintf("%d %s", counts[v], v))
	}
	return strings.Join(words, ", ")
}
