package main

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/rs/zerolog"
	"github.com/spf13/pflag"

	"github.com/connectionsd/connectionsd/collector"
	"github.com/connectionsd/connectionsd/collector/process"
	"github.com/connectionsd/connectionsd/rpc"
)

// Config is what serve is told to do: each key's value from its strongest origin, checked. keys says what each means.
type Config struct {
	RPCBindIP           netip.Addr // the zero Addr: none
	RPCBindPort         uint16     // 0: any free port
	UnixSocket          string     // "": none
	ConfirmExternalBind bool

	RPCLogin                rpc.Login // from either of its two keys; the zero Login for none
	RPCLoginFile            string    // "" for none, as with the other files
	AccessTokens            []rpc.AccessToken
	AllowedHosts            []string
	RPCAccessControlOrigins []string
	RPCSSLCertificate       string // with RPCSSLPrivateKey or not at all
	RPCSSLPrivateKey        string
	RPCSSLCACertificates    string // only with RPCSSLCertificate

	RateLimit      float64 // requests a second for each client; 0: no limit
	RateBurst      int     // at least 1
	TrustedProxies []netip.Prefix

	RPCMaxConnections             int // at least 1
	RPCMaxConnectionsPerPublicIP  int // 0: no limit, as with the next
	RPCMaxConnectionsPerPrivateIP int

	Scope         uint16 // 0: the whole host
	NetNS         collector.NetNS
	BPF           bpfMode
	ContainerAPIs []string
	CommandLines  process.CommandLines
	Height        uint64
	User          string // "": whoever started it
	Sandbox       sandboxMode
	LogLevel      zerolog.Level
	LogFormat     logFormat
	AccessLog     int // of how many requests one is logged; 0: none
	Pprof         bool
	ConfigFile    string

	// Warnings are what is allowed and yet puts a secret at risk, a sentence each.
	Warnings []string
}

// setting is a value as it was written down, and where.
type setting struct {
	Value  string
	Origin string // "--height", "CONNECTIONSD_HEIGHT" or "FILE:3 height"
}

// envPrefix starts the name of every environment variable that is this program's.
const envPrefix = "CONNECTIONSD_"

// resolve returns the configuration of flags (parsed, registered by addFlags), environ ("NAME=value" each, as from
// os.Environ) and the configuration file that one of them names, in that order of precedence, with defaults for the rest.
// Files that are named are opened by open.
//
// An error names the origin of what is wrong, the value unless it is a secret, and what would be right. A wrong value is an error even where a
// stronger origin overrides it.
func resolve(flags *pflag.FlagSet, environ []string, open opener) (Config, error) {
	cfg, _, errs := examine(flags, environ, open)
	if len(errs) > 0 {
		return Config{}, errs[0]
	}
	return cfg, nil
}

// examine is resolve, with all the errors there are instead of the first. all holds what was written down ([]setting) by
// key.
func examine(flags *pflag.FlagSet, environ []string, open opener) (cfg Config, all *koanf.Koanf, errs []error) {
	errs = checkVariables(environ)
	origins := []koanf.Provider{environProvider(environ), flagProvider(flags)}
	cfg, all, wrong := load(origins)
	errs = append(errs, wrong...)
	if cfg.ConfigFile != "" {
		file, wrong := readConfigFile(cfg.ConfigFile, written(all, configFileKey)[0].Origin, open)
		errs = append(errs, wrong...)
		cfg, all, wrong = load(slices.Insert(origins, 0, koanf.Provider(file)))
		errs = append(errs, slices.DeleteFunc(wrong, func(again error) bool {
			return slices.ContainsFunc(errs, func(err error) bool { return err.Error() == again.Error() })
		})...)
	}
	if len(errs) == 0 { // or they would be about what is missing because it is wrong
		errs = finishAccess(&cfg, all, open)
	}
	return cfg, all, errs
}

// load reads origins, the weakest first, over the defaults, as far as they are right.
func load(origins []koanf.Provider) (cfg Config, all *koanf.Koanf, errs []error) {
	all = koanf.New(".")
	for _, origin := range origins {
		if err := all.Load(origin, nil); err != nil {
			return cfg, all, append(errs, err)
		}
		// After each origin, not once at the end: what this one says is checked before the next overrides it.
		for _, k := range keys() {
			settings := written(all, k.name)
			if settings == nil && k.byDefault == "" {
				continue
			}
			if settings == nil {
				settings = []setting{{Value: k.byDefault}}
			}
			err := k.set(&cfg, settings)
			if err != nil && !slices.ContainsFunc(errs, func(known error) bool { return known.Error() == err.Error() }) {
				errs = append(errs, err)
			}
		}
	}
	return cfg, all, errs
}

// written returns what the strongest origin in all says of a key, nil when none speaks of it.
func written(all *koanf.Koanf, name string) []setting {
	settings, _ := all.Get(name).([]setting)
	return settings
}

// checkVariables refuses the variables of environ that are named like this program's and set none of its keys.
func checkVariables(environ []string) (errs []error) {
	var known []string
	for _, k := range keys() {
		known = append(known, strings.TrimPrefix(k.variable(), envPrefix))
	}
	for _, variable := range environ {
		name, _, _ := strings.Cut(variable, "=")
		name, ours := strings.CutPrefix(name, envPrefix)
		if !ours || slices.Contains(known, name) {
			continue
		}
		near := nearest(name, known)
		if near != "" {
			near = envPrefix + near
		}
		errs = append(errs, unknown("variable", envPrefix+name, near, "connectionsd serve --help"))
	}
	return errs
}

// environProvider reads the variables of environ, which checkVariables has passed.
func environProvider(environ []string) koanf.Provider {
	return env.Provider("", env.Opt{
		Prefix:      envPrefix,
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, value string) (string, any) {
			key := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(name, envPrefix), "_", "-"))
			return key, []setting{{Value: value, Origin: name}}
		},
	})
}

func flagProvider(flags *pflag.FlagSet) koanf.Provider {
	return posflag.ProviderWithFlag(flags, ".", nil, func(f *pflag.Flag) (string, any) {
		v, ok := f.Value.(*flagValue)
		if !ok { // cobra's --help
			return "", nil
		}
		var settings []setting
		for _, value := range v.values {
			settings = append(settings, setting{Value: value, Origin: "--" + f.Name})
		}
		return f.Name, settings
	})
}

// addFlags registers a flag for each key. They only note what they are given: resolve checks it, with the other origins.
func addFlags(flags *pflag.FlagSet) {
	flags.SortFlags = false
	for _, k := range keys() {
		f := flags.VarPF(&flagValue{key: k}, k.name, "", k.usage)
		if k.kind == toggle {
			f.NoOptDefVal = "true"
		}
	}
}

// flagValue is the pflag.Value of a key's flag.
type flagValue struct {
	key    key
	values []string // in the order given
}

// Set notes value.
func (v *flagValue) Set(value string) error {
	if len(v.values) > 0 && v.key.kind != list {
		if v.key.visibility == secret {
			return errors.New("already set: want this flag once")
		}
		return fmt.Errorf("already set to %q: want this flag once", v.values[0])
	}
	v.values = append(v.values, value)
	return nil
}

// String returns the default, which is all that pflag asks it for.
func (v *flagValue) String() string { return v.key.byDefault }

// Type returns the placeholder that stands for the value in the help; pflag prints none for "bool".
func (v *flagValue) Type() string { return v.key.placeholder }
