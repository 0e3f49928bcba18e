package container

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	engineapi "github.com/moby/moby/api/types/container"
)

// nthID makes ids of containers.
func nthID(n int) string { return fmt.Sprintf("%064x", n) }

var comparing = cmp.Options{cmp.AllowUnexported(known{}, publication{}), cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })}

// listAnswers are answers to GET /containers/json and what is kept of them.
var listAnswers = []struct {
	name, json string
	want       []known
}{
	{
		"Docker 20.10",
		`[{"Id":"` + id1 + `","Names":["/pub"],"Image":"bb:1","State":"running","Labels":{},"HostConfig":{"NetworkMode":"default"},"Mounts":[],
		"Ports":[{"IP":"0.0.0.0","PrivatePort":80,"PublicPort":5432,"Type":"tcp"},{"IP":"::","PrivatePort":80,"PublicPort":5432,"Type":"tcp"},{"IP":"127.0.0.1","PrivatePort":81,"PublicPort":5433,"Type":"tcp"},
			{"IP":"0.0.0.0","PrivatePort":53,"PublicPort":53,"Type":"udp"},{"PrivatePort":9000,"Type":"tcp"}],
		"NetworkSettings":{"Networks":{"bridge":{"IPAMConfig":null,"Links":null,"Gateway":"172.17.0.1","IPAddress":"172.17.0.2","IPPrefixLen":16,"IPv6Gateway":"","GlobalIPv6Address":"2001:db8::2","MacAddress":"02:42:ac:11:00:02"}}}}]`,
		[]known{{
			id: id1, name: "pub",
			addresses: []netip.Addr{netip.MustParseAddr("172.17.0.2"), netip.MustParseAddr("2001:db8::2")},
			ports: []publication{
				{netip.MustParseAddrPort("0.0.0.0:5432"), 80},
				{netip.MustParseAddrPort("[::]:5432"), 80},
				{netip.MustParseAddrPort("127.0.0.1:5433"), 81},
			},
		}},
	},
	{
		"Podman 4.3, which says nothing of a port that is published everywhere",
		`[{"Id":"` + id1 + `","Names":["/pt"],"Ports":[{"PrivatePort":80,"PublicPort":18099,"Type":"tcp"}],"State":"running",
		"NetworkSettings":{"Networks":{"podman":{"Aliases":["8f884923320c"],"NetworkID":"podman","IPAddress":"10.88.0.3","GlobalIPv6Address":"","MacAddress":"1e:02:35:00:ee:dd","DriverOpts":null}}},"Mounts":[],"Name":"","Config":null,"NetworkingConfig":null,"Platform":null,"AdjustCPUShares":false}]`,
		[]known{{
			id: id1, name: "pt",
			addresses: []netip.Addr{netip.MustParseAddr("10.88.0.3")},
			ports:     []publication{{netip.MustParseAddrPort("0.0.0.0:18099"), 80}, {netip.MustParseAddrPort("[::]:18099"), 80}},
		}},
	},
	{"the host's network", `[{"Id":"` + id1 + `","Names":["/hosty"],"Ports":[],"NetworkSettings":{"Networks":{"host":{"IPAddress":"","GlobalIPv6Address":"","MacAddress":""}}}}]`, []known{{id: id1, name: "hosty"}}},
	{"a legacy link", `[{"Id":"` + id1 + `","Names":["/web/db","/postgres"]}]`, []known{{id: id1, name: "postgres"}}},
	{"all that a name can have", `[{"Id":"` + id1 + `","Names":["/0Az_.-9"]}]`, []known{{id: id1, name: "0Az_.-9"}}},
	{"the longest name", `[{"Id":"` + id1 + `","Names":["/` + strings.Repeat("a", 255) + `"]}]`, []known{{id: id1, name: strings.Repeat("a", 255)}}},
	{"too long a name", `[{"Id":"` + id1 + `","Names":["/` + strings.Repeat("a", 256) + `"]}]`, nil},
	{"names that are none", `[{"Id":"` + id1 + `","Names":["","/","/a b","/a\nb","/é","/-a","/a/b","\u0000"]}]`, nil},
	{"no names", `[{"Id":"` + id1 + `"},{"Id":"` + id1 + `","Names":[]}]`, nil},
	{"ids that are none", `[{"Id":"","Names":["/a"]},{"Id":"abc","Names":["/a"]},{"Id":"` + strings.ToUpper(id1) + `","Names":["/a"]}]`, nil},
	{"addresses that are nobody's", `[{"Id":"` + id1 + `","Names":["/a"],"NetworkSettings":{"Networks":{"x":{"IPAddress":"127.0.0.1","GlobalIPv6Address":"::"},"y":null}}}]`, []known{{id: id1, name: "a"}}},
	{"an IPv4-mapped address", `[{"Id":"` + id1 + `","Names":["/a"],"NetworkSettings":{"Networks":{"x":{"IPAddress":"::ffff:10.0.0.1"}}}}]`, []known{{id: id1, name: "a", addresses: []netip.Addr{netip.MustParseAddr("10.0.0.1")}}}},
	{"null", `null`, nil},
	{"empty", `[]`, nil},
}

func TestDescribe(t *testing.T) {
	for _, test := range listAnswers {
		var summaries []engineapi.Summary
		if err := json.Unmarshal([]byte(test.json), &summaries); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(test.want, describe(summaries), comparing); d != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, d)
		}
	}
}

func TestDescribeIsBounded(t *testing.T) {
	summaries := make([]engineapi.Summary, maxContainers+1)
	for i := range summaries {
		summaries[i] = engineapi.Summary{ID: nthID(i), Names: []string{"/a"}}
	}
	list := describe(summaries)
	if len(list) != maxContainers || list[maxContainers-1].id != nthID(maxContainers-1) {
		t.Errorf("%d are kept, want the first %d", len(list), maxContainers)
	}
	l := newList(list, []known{{id: id1, name: "one more"}})
	if _, ok := l.Name(id1); ok || len(l.names) != maxContainers {
		t.Errorf("%d are kept of two engines, want %d", len(l.names), maxContainers)
	}
}

func FuzzDescribe(f *testing.F) {
	for _, test := range listAnswers {
		f.Add([]byte(test.json))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		var summaries []engineapi.Summary
		if json.Unmarshal(answer, &summaries) != nil {
			return
		}
		list := describe(summaries)
		for _, c := range list {
			if !isID(c.id) || !isName(c.name) {
				t.Fatalf("container %q called %q", c.id, c.name)
			}
			for _, addr := range c.addresses {
				if !addr.IsValid() || addr.IsUnspecified() || addr.Is4In6() {
					t.Fatalf("address %v", addr)
				}
			}
			for _, p := range c.ports {
				if !p.at.IsValid() || p.at.Port() == 0 || p.at.Addr().Is4In6() || p.at.Addr().Zone() != "" {
					t.Fatalf("published at %v", p.at)
				}
			}
		}
		l := newList(list, list)
		for _, c := range list {
			if _, ok := l.Name(c.id); !ok {
				t.Fatalf("container %q is not in the list", c.id)
			}
			for _, addr := range c.addresses {
				if id, ok := l.At(addr); ok && !isID(id) {
					t.Fatalf("container %q at %v", id, addr)
				}
			}
		}
	})
}

func TestList(t *testing.T) {
	addr, port := netip.MustParseAddr, netip.MustParseAddrPort
	a, b, c := nthID(1), nthID(2), nthID(3)
	l := newList(
		[]known{
			{id: a, name: "a", addresses: []netip.Addr{addr("172.17.0.2"), addr("172.18.0.2"), addr("2001:db8::2")}, ports: []publication{{port("0.0.0.0:80"), 8080}, {port("[::]:80"), 8081}, {port("192.0.2.1:81"), 1}}},
			{id: b, name: "b", addresses: []netip.Addr{addr("172.18.0.2")}, ports: []publication{{port("0.0.0.0:82"), 2}, {port("192.0.2.1:80"), 3}}},
		},
		[]known{
			{id: a, name: "as another socket of the same engine tells it", addresses: []netip.Addr{addr("172.17.0.9")}},
			{id: c, name: "c", addresses: []netip.Addr{addr("10.88.0.2")}, ports: []publication{{port("0.0.0.0:82"), 2}}},
		},
	)
	for id, want := range map[string]string{a: "a", b: "b", c: "c", id1: "", "": ""} {
		if name, ok := l.Name(id); name != want || ok != (want != "") {
			t.Errorf("name of %q: %q, %t, want %q", id, name, ok, want)
		}
	}
	for at, want := range map[string]string{
		"172.17.0.2": a, "::ffff:172.17.0.2": a, "2001:db8::2": a, "10.88.0.2": c,
		"172.18.0.2": "", // two have it
		"172.17.0.9": "", "0.0.0.0": "", "127.0.0.1": "",
	} {
		if id, ok := l.At(addr(at)); id != want || ok != (want != "") {
			t.Errorf("at %s: %q, %t, want %q", at, id, ok, want)
		}
	}
	if id, ok := l.At(netip.Addr{}); ok {
		t.Errorf("at no address: %q", id)
	}
	for _, test := range []struct {
		at      string
		id      string
		private uint16
	}{
		{"0.0.0.0:80", a, 8080},
		{"127.0.0.1:80", a, 8080},
		{"[::ffff:127.0.0.1]:80", a, 8080},
		{"[::]:80", a, 8081},
		{"[::1]:80", a, 8081},
		{"[fe80::1%eth0]:80", a, 8081},
		{"192.0.2.1:80", b, 3}, // its own comes before all addresses
		{"192.0.2.1:81", a, 1},
		{"0.0.0.0:81", "", 0},
		{"192.0.2.2:81", "", 0},
		{"[::]:81", "", 0},
		{"127.0.0.1:83", "", 0},
	} {
		at := port(test.at)
		if id, private, ok := l.Published(at.Addr(), at.Port()); id != test.id || private != test.private || ok != (test.id != "") {
			t.Errorf("published at %s: %q, %d, %t, want %q, %d", test.at, id, private, ok, test.id, test.private)
		}
	}
	// Two publish it: at most one of them is right.
	if id, _, ok := l.Published(addr("127.0.0.1"), 82); ok {
		t.Errorf("published by two: %q", id)
	}
	if id, _, ok := l.Published(netip.Addr{}, 80); ok {
		t.Errorf("published at no address: %q", id)
	}
}

func TestListAllocatesNothing(t *testing.T) {
	addr := netip.MustParseAddr("172.17.0.2")
	l := newList([]known{{id: id1, name: "a", addresses: []netip.Addr{addr}, ports: []publication{{netip.MustParseAddrPort("0.0.0.0:80"), 80}}}})
	if n := testing.AllocsPerRun(100, func() {
		l.Name(id1)
		l.At(addr)
		l.Published(addr, 80)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
