package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/knadh/koanf/v2"
)

// packagedConfig is the file that the packages install as /etc/connectionsd/connectionsd.conf.
const packagedConfig = "../../packaging/connectionsd.conf"

var writePackagedConfig = flag.Bool("write-packaged-config", false, "write "+packagedConfig)

//go:generate go test -count=1 -run ^TestPackagedConfig$ . -args -write-packaged-config

// renderPackagedConfig returns a configuration file that says nothing, with every key in a comment.
func renderPackagedConfig() string {
	var b strings.Builder
	b.WriteString(`# The configuration of connectionsd.service: each setting, with its default or with what stands for its value. Variables in
# /etc/default/connectionsd (CONNECTIONSD_HEIGHT=1) go before what stands here. connectionsd-serve(1) tells of each.
#
# A line is key = value; a list may have several. What is wrong with this file, and what holds in the end, is said by
#     connectionsd config check --config-file /etc/connectionsd/connectionsd.conf
#     connectionsd config show --config-file /etc/connectionsd/connectionsd.conf
# What is marked [reload] takes effect at systemctl reload connectionsd, all else at systemctl restart connectionsd.
`)
	for _, s := range sections() {
		var keys []key
		for _, k := range s.keys {
			if k.name != configFileKey { // it cannot stand in a file
				keys = append(keys, k)
			}
		}
		if len(keys) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n### %s\n", s.heading)
		if keys[0].name == "rpc-bind-ip" {
			b.WriteString("# The service listens where connectionsd.socket says, not at rpc-bind-ip and rpc-bind-port: systemctl edit connectionsd.socket\n")
		}
		for _, k := range keys {
			var remarks []string
			if k.kind == list {
				remarks = append(remarks, "list")
			}
			if k.change == onHangup {
				remarks = append(remarks, "reload")
			}
			remark := ""
			if len(remarks) > 0 {
				remark = " [" + strings.Join(remarks, ", ") + "]"
			}
			value := k.byDefault
			if value == "" {
				value = k.placeholder
			}
			fmt.Fprintf(&b, "\n# %s%s\n#%s = %s\n", k.usage, remark, k.name, value)
		}
	}
	return b.String()
}

// The packaged file is what the keys make of it. To make it anew: make generate.
func TestPackagedConfig(t *testing.T) {
	want := renderPackagedConfig()
	if *writePackagedConfig {
		if err := os.WriteFile(packagedConfig, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(packagedConfig)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", packagedConfig, diff)
	}
}

// As it is the file sets nothing; with the comments taken from all that has a default it sets each key to that.
func TestPackagedConfigMeans(t *testing.T) {
	byDefault, _, errs := load([]koanf.Provider{configFile{}})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	text := renderPackagedConfig()
	settings, errs := parseConfigFile("connectionsd.conf", []byte(text))
	if len(errs) > 0 || len(settings) > 0 {
		t.Errorf("as it is: %v, %v, want no settings", settings, errs)
	}
	defaults := 0
	for _, k := range keys() {
		if k.byDefault != "" {
			text = strings.Replace(text, "\n#"+k.name+" = ", "\n"+k.name+" = ", 1)
			defaults++
		}
	}
	settings, errs = parseConfigFile("connectionsd.conf", []byte(text))
	if len(errs) > 0 || len(settings) != defaults {
		t.Errorf("without comments: %d settings, %v, want %d", len(settings), errs, defaults)
	}
	got, _, errs := load([]koanf.Provider{settings})
	if len(errs) > 0 {
		t.Error(errs)
	}
	for _, k := range keys() {
		if !k.same(&got, &byDefault) {
			t.Errorf("%s is not as by default", k.name)
		}
	}
}
