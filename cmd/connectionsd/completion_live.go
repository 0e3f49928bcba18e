package main

import (
	"cmp"
	"context"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// liveTimeout is how long somebody who has pressed a key waits for what there is now.
const liveTimeout = 2 * time.Second

// live is what completes a flag, as a look tells: the values of an entry, with a word on each.
type live struct {
	listeners bool // what listens, too; alone, if connections is false
	connected bool
	of        func(e *entry) (value, about string) // "" for none
}

// liveValues are the flags that are completed with what is there now.
func liveValues() map[string]live {
	port := func(e end) string {
		if !e.addr.IsValid() || e.addr.Port() == 0 {
			return ""
		}
		return strconv.Itoa(int(e.addr.Port()))
	}
	local := func(e *entry) (string, string) { return port(e.local), e.process }
	return map[string]live{
		"local-port":  {listeners: true, connected: true, of: local},
		"scope":       {listeners: true, of: local},
		"remote-port": {connected: true, of: func(e *entry) (string, string) { return port(e.remote), e.process }},
		"remote-address": {connected: true, of: func(e *entry) (string, string) {
			if !e.remote.addr.IsValid() {
				return "", ""
			}
			return e.remote.addr.Addr().WithZone("").String(), e.process
		}},
		"process": {listeners: true, connected: true, of: func(e *entry) (string, string) { return e.process, "" }},
		"pid": {listeners: true, connected: true, of: func(e *entry) (string, string) {
			if e.socket == nil || e.socket.PID == 0 {
				return "", ""
			}
			return strconv.FormatUint(e.socket.PID, 10), e.process
		}},
	}
}

// completeLive looks at what the other flags say, and completes the flag of that name with what is seen. Where nothing can be
// seen there is nothing to offer: who completes has no use for the reason.
func (p program) completeLive(name string, of live) completer {
	return func(cmd *cobra.Command, _ string) []cobra.Completion {
		o, err := resolveLook(cmd.Flags(), slices.Concat(askOptions(), filterOptions()), p.environ)
		if err != nil || cmd.Flags().Lookup("listeners") == nil {
			// What is wrong is said when the command is run. What serve is told is no filter of what there is.
			o, err = resolveLook(new(cobra.Command).Flags(), slices.Concat(askOptions(), filterOptions()), p.environ)
		}
		if err != nil {
			return nil
		}
		o.filter.Del(strings.ReplaceAll(name, "-", "_"))
		o.serve.ContainerAPIs = []string{noContainerAPI} // their names are not completed, and take time to ask for
		ctx, cancel := context.WithTimeout(cmd.Context(), liveTimeout)
		defer cancel()
		from, err := openSource(ctx, &o, io.Discard)
		if err != nil {
			return nil
		}
		defer from.close()
		about := make(map[string]string)
		note := func(entries []entry) {
			for i := range entries {
				value, word := of.of(&entries[i])
				if value == "" || plainWord(value) != value {
					continue
				}
				if about[value] == "" {
					about[value] = plainWord(word)
				}
			}
		}
		if of.listeners && !slices.ContainsFunc(connectionFilters(), o.filter.Has) {
			o.listeners = true
			if entries, err := look(ctx, from, &o); err == nil {
				note(entries)
			}
		}
		if of.connected {
			o.listeners = false
			if entries, err := look(ctx, from, &o); err == nil {
				note(entries)
			}
		}
		return described(about)
	}
}

// described returns values with a word about each, in their order: numbers by their size.
func described(about map[string]string) []cobra.Completion {
	var completions []cobra.Completion
	values := slices.SortedFunc(maps.Keys(about), func(a, b string) int {
		return cmp.Or(cmp.Compare(number(a), number(b)), cmp.Compare(a, b))
	})
	for _, value := range values {
		if about[value] == "" {
			completions = append(completions, value)
		} else {
			completions = append(completions, cobra.CompletionWithDesc(value, about[value]))
		}
	}
	return completions
}

func number(s string) uint64 {
	n, _ := strconv.ParseUint(s, 10, 64)
	return n
}

// plainWord returns s with ? for all that could mean something to a shell, to which what is completed goes: a process calls
// itself what it likes. A name that is not plain is not completed.
func plainWord(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', strings.ContainsRune("._-/+@:", r):
			return r
		default:
			return '?'
		}
	}, s)
}
