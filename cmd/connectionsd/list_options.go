package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sourcegraph/jsonrpc2"
	"github.com/spf13/pflag"

	"github.com/connectionsd/connectionsd/rpc"
)

// lookOptions are what list and watch are told to look at, and how to show it.
type lookOptions struct {
	// serve has what flags of the same names tell serve: the namespaces, the engines, the login and the files of TLS.
	serve   Config
	token   string         // of serve.AccessTokens, which cannot be read
	address *daemonAddress // nil: look at this host itself

	filter    url.Values // parameters of get_connections, less limit
	limit     int        // lines at the most; 0: all
	listeners bool

	columns  []*column // nil: those that are shown by default
	sort     []sortKey // nil: the order of the default
	wide     bool
	units    units
	colour   colourMode
	noHeader bool

	// Of list alone.
	json, extended, csv bool

	// Of watch alone.
	live     bool
	interval time.Duration
	once     bool
}

// option is a flag of list or watch. Its key is one of serve, whose store sets it in lookOptions.serve, or has none: then
// take is told the values.
type option struct {
	key
	// parameter is the one of get_connections that the flag gives a value to, "" for none.
	parameter string
	// fromVariable is whether the environment variable of the key counts too.
	fromVariable bool
	take         func(o *lookOptions, values []string) error // its error says what would be right
}

// ofServe returns a flag that serve has too, with a usage of its own.
func ofServe(name, usage string) option {
	all := keys()
	k := all[slices.IndexFunc(all, func(k key) bool { return k.name == name })]
	k.usage = usage
	return option{key: k}
}

// fromVariable lets the variable of serve count too.
func fromVariable(o option) option {
	o.fromVariable = true
	return o
}

// switched is a flag that is there or not.
func switched(name, usage string, field func(*lookOptions) *bool) option {
	return option{key: key{name: name, kind: toggle, placeholder: "bool", byDefault: "false", usage: usage}, take: func(o *lookOptions, values []string) (err error) {
		*field(o), err = parseBool(values[0])
		return err
	}}
}

// valued is a flag with one value.
func valued[T any](name, placeholder, byDefault, usage string, field func(*lookOptions) *T, parse func(string) (T, error)) option {
	return option{key: key{name: name, placeholder: placeholder, byDefault: byDefault, usage: usage}, take: func(o *lookOptions, values []string) (err error) {
		*field(o), err = parse(values[0])
		return err
	}}
}

// parameter is a flag that is a parameter of get_connections.
func parameter(name string, kind kind, placeholder, usage string) option {
	return option{key: key{name: strings.ReplaceAll(name, "_", "-"), kind: kind, placeholder: placeholder, usage: usage}, parameter: name}
}

// askOptions say whom list and watch ask.
func askOptions() []option {
	one := func(o option) option { o.kind = single; return o }
	return []option{
		{
			key: key{name: "rpc-address", placeholder: "ADDRESS", usage: "ask the daemon at HOST:PORT, http(s)://HOST:PORT or unix:/PATH, and not this host itself"},
			take: func(o *lookOptions, values []string) (err error) {
				o.address, err = parseDaemonAddress(values[0])
				return err
			},
		},
		fromVariable(ofServe("rpc-login", "log in to the daemon; better set by "+envPrefix+"RPC_LOGIN or the next")),
		fromVariable(ofServe("rpc-login-file", "read USER:PASSWORD from the first line of FILE")),
		fromVariable(one(ofServe("access-token", "the daemon's access token; better set by "+envPrefix+"ACCESS_TOKEN"))),
		ofServe("rpc-ssl-ca-certificates", "trust a daemon whose certificate is signed by one in FILE (PEM), and no other"),
		ofServe("rpc-ssl-certificate", "show the daemon the certificate in FILE (PEM)"),
		ofServe("rpc-ssl-private-key", "the private key of --rpc-ssl-certificate (PEM)"),
		ofServe("netns", "network namespaces to look at: all, self, or the NAME of one under /run/netns"),
		ofServe("container-api", "sockets of Docker and Podman, which are asked for the names of containers (none: do not ask)"),
	}
}

// filterOptions say which connections are meant: the parameters of get_connections but extended, with - for _.
func filterOptions() []option {
	return []option{
		parameter("incoming", toggle, "bool", "those that the peer opened (=false: that this host opened)"),
		parameter("states", list, "STATE", "those in a TCP state such as established, or in one of normal, standby and before_handshake"),
		parameter("local_port", list, "PORT", "those of a local port"),
		parameter("remote_port", list, "PORT", "those to a remote port"),
		parameter("remote_address", list, "CIDR", "those to an address or network, such as 192.0.2.0/24"),
		parameter("pid", single, "PID", "those of a process"),
		parameter("process", single, "NAME", "those of the processes of a name"),
		parameter("scope", single, "PORT", "those of the node that listens on PORT, as it would list them itself"),
		parameter("limit", single, "N", "at most so many"),
		switched("listeners", "what listens, and not the connections", func(o *lookOptions) *bool { return &o.listeners }),
	}
}

// showOptions say how it is shown.
func showOptions() []option {
	return []option{
		{
			key:  key{name: "sort", kind: list, placeholder: "COLUMN", usage: "sort by COLUMN, then by the next; -COLUMN: the largest first"},
			take: takenLater,
		},
		{
			key:  key{name: "columns", kind: list, placeholder: "COLUMN", usage: "the columns to show, in this order"},
			take: takenLater,
		},
		switched("wide", "show all columns, and shorten nothing", func(o *lookOptions) *bool { return &o.wide }),
		valued("units", "UNITS", string(unitsIEC), "of sizes and rates: iec (Ki is 1024 bytes), si (k is 1000 bytes) or bytes", func(o *lookOptions) *units { return &o.units }, parseUnits),
		valued("colour", "WHEN", string(colourAuto), "auto (on a terminal, unless NO_COLOR is set), always or never", func(o *lookOptions) *colourMode { return &o.colour }, parseColourMode),
	}
}

// takenLater leaves the names of columns to finishShow: which there are is known with --listeners alone.
func takenLater(*lookOptions, []string) error { return nil }

// listOptions are the flags of list, in the order of the help.
func listOptions() []option {
	return slices.Concat(filterOptions(), showOptions(), []option{
		switched("no-header", "leave out the line of headings", func(o *lookOptions) *bool { return &o.noHeader }),
		switched("csv", "print CSV, with numbers as they are", func(o *lookOptions) *bool { return &o.csv }),
		switched("json", "print what get_connections answers, or GET /api/connections with --listeners", func(o *lookOptions) *bool { return &o.json }),
		switched("extended", "with --json: what the kernel says of each socket, and its process", func(o *lookOptions) *bool { return &o.extended }),
	}, askOptions())
}

// addOptions registers a flag for each option. They only note what they are given.
func addOptions(flags *pflag.FlagSet, options []option) {
	flags.SortFlags = false
	for _, o := range options {
		f := flags.VarPF(&flagValue{key: o.key}, o.name, "", o.usage)
		if o.kind == toggle {
			f.NoOptDefVal = "true"
		}
	}
}

// resolveLook returns what flags, which have options, and environ say. An error says what is wrong, where, and what would be
// right.
func resolveLook(flags *pflag.FlagSet, options []option, environ []string) (lookOptions, error) {
	o := lookOptions{filter: make(url.Values), live: flags.Lookup("interval") != nil}
	given := make(map[string][]setting)
	for _, option := range options {
		settings := settingsOf(flags, option, environ)
		if len(settings) == 0 && option.byDefault != "" {
			settings = []setting{{Value: option.byDefault}}
		} else if len(settings) > 0 {
			given[option.name] = settings
		}
		if len(settings) == 0 {
			continue
		}
		if err := option.set(&o, settings); err != nil {
			return lookOptions{}, err
		}
	}
	for _, finish := range []func(*lookOptions, map[string][]setting) error{finishRemote, finishFilter, finishShow} {
		if err := finish(&o, given); err != nil {
			return lookOptions{}, err
		}
	}
	return o, nil
}

// settingsOf returns what the flag says, else the variable.
func settingsOf(flags *pflag.FlagSet, o option, environ []string) (settings []setting) {
	if f := flags.Lookup(o.name); f != nil {
		for _, value := range f.Value.(*flagValue).values {
			settings = append(settings, setting{Value: value, Origin: "--" + o.name})
		}
	}
	if settings != nil || !o.fromVariable {
		return settings
	}
	for _, variable := range environ {
		if value, ok := strings.CutPrefix(variable, o.variable()+"="); ok {
			settings = []setting{{Value: value, Origin: o.variable()}} // the last one counts, as in a shell
		}
	}
	return settings
}

// set stores what settings say, which are one or more.
func (f option) set(o *lookOptions, settings []setting) error {
	switch {
	case f.parameter != "":
		for _, s := range settings {
			o.filter.Add(f.parameter, s.Value)
		}
		return nil
	case f.store != nil:
		if f.name == "access-token" { // of several, which a daemon may have, the first opens its door as well
			first, _, _ := strings.Cut(settings[0].Value, ",")
			settings = []setting{{Value: strings.TrimSpace(first), Origin: settings[0].Origin}}
			o.token = settings[0].Value
		}
		return f.key.set(&o.serve, settings)
	}
	var values []string
	for _, s := range settings {
		values = append(values, s.Value)
	}
	err := f.take(o, values)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errLoginInAddress):
		return fmt.Errorf("%s: %w", settings[0].Origin, err)
	default:
		return fmt.Errorf("%s %.100q: %w", settings[0].Origin, settings[0].Value, err)
	}
}

// finishRemote does what concerns more than one of the options that say whom to ask.
func finishRemote(o *lookOptions, given map[string][]setting) error {
	if o.address == nil {
		for _, name := range []string{"rpc-login", "rpc-login-file", "access-token", "rpc-ssl-ca-certificates", "rpc-ssl-certificate", "rpc-ssl-private-key"} {
			// A variable may be there for serve.
			if s := given[name]; s != nil && s[0].Origin == "--"+name {
				return fmt.Errorf("--%s: there is no daemon to show it to: want --rpc-address too", name)
			}
		}
		o.serve.RPCLogin, o.token = rpc.Login{}, ""
		return nil
	}
	for _, name := range []string{"netns", "container-api"} {
		if given[name] != nil {
			return fmt.Errorf("--%s: not with --rpc-address: the daemon was told at its start", name)
		}
	}
	for _, name := range []string{"rpc-ssl-ca-certificates", "rpc-ssl-certificate", "rpc-ssl-private-key"} {
		if given[name] != nil && !o.address.tls {
			return fmt.Errorf("--%s: needs TLS: want --rpc-address https://HOST:PORT", name)
		}
	}
	if (given["rpc-ssl-certificate"] == nil) != (given["rpc-ssl-private-key"] == nil) {
		return errors.New("--rpc-ssl-certificate and --rpc-ssl-private-key: want both or neither")
	}
	login, file := given["rpc-login"], given["rpc-login-file"]
	// A flag goes before a variable, also that of the other key.
	if login != nil && file != nil && strings.HasPrefix(login[0].Origin, "--") != strings.HasPrefix(file[0].Origin, "--") {
		if strings.HasPrefix(login[0].Origin, "--") {
			file = nil
		} else {
			login = nil
		}
	}
	switch {
	case login != nil && file != nil:
		return fmt.Errorf("%s and %s: each is a login: want only one of them", login[0].Origin, file[0].Origin)
	case file != nil:
		var err error
		if o.serve.RPCLogin, err = readLogin(o.serve.RPCLoginFile); err != nil {
			return fmt.Errorf("%s: %w", file[0].Origin, err)
		}
	}
	return nil
}

// finishFilter checks the filter as the daemon does.
func finishFilter(o *lookOptions, _ map[string][]setting) error {
	params, err := rpc.ConnectionsQuery(o.filter)
	if err == nil {
		err = rpc.CheckConnectionsParams(params)
	}
	if err != nil {
		return filterError(err)
	}
	var checked struct{ Limit int }
	if err := json.Unmarshal(params, &checked); err != nil {
		return err
	}
	o.limit = checked.Limit
	o.filter.Del("limit") // it counts what is printed, after it is sorted
	for _, name := range connectionFilters() {
		if o.listeners && o.filter.Has(name) {
			return fmt.Errorf("--%s: of connections alone: not with --listeners", strings.ReplaceAll(name, "_", "-"))
		}
	}
	return nil
}

// filterError says of a parameter that was refused which flag it was.
func filterError(err error) error {
	var refused *jsonrpc2.Error
	var why string
	if !errors.As(err, &refused) || refused.Code != jsonrpc2.CodeInvalidParams || refused.Data == nil || json.Unmarshal(*refused.Data, &why) != nil {
		return err
	}
	name, rest, found := strings.Cut(why, ":")
	for _, option := range filterOptions() {
		if found && option.parameter == name {
			return errors.New("--" + option.name + ":" + rest)
		}
	}
	return errors.New(why)
}

// finishShow does what concerns more than one of the options that say how it is shown.
func finishShow(o *lookOptions, given map[string][]setting) error {
	columns := o.availableColumns(o.listeners)
	for _, s := range given["columns"] {
		for name := range strings.SplitSeq(s.Value, ",") {
			c, err := findColumn(columns, name)
			if err != nil {
				return fmt.Errorf("--columns %.100q: %w", name, err)
			}
			o.columns = append(o.columns, c)
		}
	}
	for _, s := range given["sort"] {
		for name := range strings.SplitSeq(s.Value, ",") {
			plain, descending := strings.CutPrefix(name, "-")
			c, err := findColumn(columns, plain)
			if err != nil {
				return fmt.Errorf("--sort %.100q: %w", name, err)
			}
			o.sort = append(o.sort, sortKey{c, descending})
		}
	}
	switch {
	case o.json && o.csv:
		return errors.New("--json and --csv: want only one of them")
	case o.extended && !o.json:
		return errors.New("--extended: adds to the JSON only: want --json --extended")
	case o.wide && o.columns != nil:
		return errors.New("--wide and --columns: each says which columns: want only one of them")
	}
	tables := []string{"sort", "columns", "wide", "no-header", "units", "colour"}
	if o.csv {
		tables = []string{"units", "colour"}
	} else if !o.json {
		tables = nil
	}
	for _, name := range tables {
		if given[name] != nil {
			return fmt.Errorf("--%s: of a table: not with --json%s", name, map[bool]string{true: " or --csv"}[name == "units" || name == "colour"])
		}
	}
	return nil
}

// params returns the parameters of the question.
func (o *lookOptions) params(extended bool) (json.RawMessage, error) {
	query := make(url.Values)
	for name, values := range o.filter {
		query[name] = values
	}
	if extended {
		query.Set("extended", "true")
	}
	if o.json && o.limit > 0 {
		query.Set("limit", fmt.Sprint(o.limit))
	}
	return rpc.ConnectionsQuery(query)
}
