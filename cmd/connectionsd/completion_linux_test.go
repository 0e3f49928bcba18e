package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// completions returns what a shell would be told for a command line of args, of which the last is still being typed.
func completions(t *testing.T, args ...string) []string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), append([]string{"__complete"}, args...), &stdout, &stderr, nil); code != exitOK {
		t.Fatalf("%v: exit code %d: %s", args, code, stderr.String())
	}
	lines := strings.Split(strings.TrimSuffix(stdout.String(), "\n"), "\n")
	last := len(lines) - 1
	if !strings.HasPrefix(lines[last], ":") {
		t.Fatalf("%v: %q ends in no directive", args, lines)
	}
	return lines[:last]
}

// Values that are enumerated, in their order.
func TestCompleteEnumerated(t *testing.T) {
	for _, tc := range []struct{ line, want string }{
		{"list --units ", "iec si bytes"},
		{"list --units=b", "--units=bytes"},
		{"list --colour a", "auto always"},
		{"list --incoming=", "--incoming=true --incoming=false"},
		{"list --states s", "syn_sent syn_recv standby"},
		{"list --states ESTABLISHED,C", "ESTABLISHED,CLOSE_WAIT ESTABLISHED,CLOSING"},
		{"list --columns pid,rem", "pid,remote"},
		{"list --sort=-recv,se", "-recv,sent -recv,sent-rate -recv,sent-idle"},
		{"list --sort=-rec", "-recv -recv-rate -recv-idle"},
		{"list --listeners --columns se", "service"},
		{"serve --log-level ", "trace debug info warn error"},
		{"serve --rate-limit ", ""},
		{"completion ", "bash fish zsh"},
		{"list ", ""},
	} {
		args := strings.Split(tc.line, " ")
		want := strings.Fields(strings.ReplaceAll(tc.want, "--units=", ""))
		want = strings.Fields(strings.ReplaceAll(strings.Join(want, " "), "--incoming=", ""))
		got := strings.Fields(strings.Join(completions(t, args...), " "))
		if diff := cmp.Diff(want, got); diff != "" && len(want)+len(got) > 0 {
			t.Errorf("%q (-want +got):\n%s", tc.line, diff)
		}
	}
}

// Ports, processes and addresses are completed as they are, with the process that has them.
func TestCompleteLive(t *testing.T) {
	opened, accepted := connect(t, "127.0.0.1:0")
	port := func(c net.Conn) string { return fmt.Sprint(c.LocalAddr().(*net.TCPAddr).Port) }
	name := plainWord(ownName(t))
	for _, tc := range []struct {
		args []string
		want []string
	}{
		{[]string{"--local-port", port(accepted)}, []string{port(accepted) + "\t" + name}},
		{[]string{"--local-port", "1," + port(accepted)}, []string{"1," + port(accepted) + "\t" + name}},
		{[]string{"--scope", port(accepted)}, []string{port(accepted) + "\t" + name}},
		{[]string{"--scope", port(opened)}, nil}, // nobody listens there
		{[]string{"--remote-port", port(opened)}, []string{port(opened) + "\t" + name}},
		{[]string{"--remote-address", "127.0.0"}, []string{"127.0.0.1\t" + name}},
		{[]string{"--pid", fmt.Sprint(os.Getpid())}, []string{fmt.Sprint(os.Getpid()) + "\t" + name}},
		{[]string{"--process", name}, []string{name}},
		// What else is typed narrows it down, but for what is being completed.
		{[]string{"--process=nobody", "--local-port", port(accepted)}, nil},
		{[]string{"--local-port=1", "--local-port", port(accepted)}, []string{port(accepted) + "\t" + name}},
	} {
		args := append([]string{"list", "--netns=self"}, tc.args...)
		if diff := cmp.Diff(tc.want, completions(t, args...), cmp.Transformer("", func(s []string) string { return strings.Join(s, "\n") })); diff != "" {
			t.Errorf("%v (-want +got):\n%s", args, diff)
		}
	}
	d := start(t, []string{"--netns=self"}, nil)
	want := []string{port(accepted) + "\t" + name}
	if diff := cmp.Diff(want, completions(t, "list", "--rpc-address="+d.address, "--local-port", port(accepted))); diff != "" {
		t.Errorf("of a daemon (-want +got):\n%s", diff)
	}
}

// A process chooses its name, and who completes may be root: what means something to a shell is not offered.
func TestCompleteNoCommands(t *testing.T) {
	before := ownName(t)
	setName(t, "$(reboot)`x`;a")
	defer setName(t, before)
	_, accepted := connect(t, "127.0.0.1:0")
	port := fmt.Sprint(accepted.LocalAddr().(*net.TCPAddr).Port)
	if got := completions(t, "list", "--netns=self", "--process", ""); len(got) != 0 {
		t.Errorf("processes %q, want none", got)
	}
	want := []string{port + "\t??reboot??x??a"}
	if diff := cmp.Diff(want, completions(t, "list", "--netns=self", "--local-port", port)); diff != "" {
		t.Errorf("ports (-want +got):\n%s", diff)
	}
}

// setName gives this process a name.
func setName(t *testing.T, name string) {
	t.Helper()
	if err := os.WriteFile("/proc/self/comm", []byte(name), 0); err != nil {
		t.Fatal(err)
	}
}

func TestCompleteNetNS(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: names of network namespaces are root's to make")
	}
	// The mounts are the tests' own.
	if err := os.MkdirAll("/run/netns", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", "/run/netns", "tmpfs", 0, "size=64k"); err != nil {
		t.Skip("cannot mount: ", err)
	}
	defer func() {
		if err := unix.Unmount("/run/netns", 0); err != nil {
			t.Error(err)
		}
	}()
	for _, name := range []string{"blue", "bl ack", "red"} {
		if err := os.WriteFile(filepath.Join("/run/netns", name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for typed, want := range map[string][]string{"": {"all", "self", "blue", "red"}, "b": {"blue"}} {
		if diff := cmp.Diff(want, completions(t, "list", "--netns", typed)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", typed, diff)
		}
	}
}

// A real bash completes by the script.
func TestCompletionBash(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	directory := t.TempDir()
	wrapper := "#!/bin/sh\nexec '" + self + "' " + strings.Join(asCommand(), " ") + ` "$@"` + "\n"
	if err := os.WriteFile(filepath.Join(directory, "connectionsd"), []byte(wrapper), 0o700); err != nil {
		t.Fatal(err)
	}
	_, accepted := connect(t, "127.0.0.1:0")
	port := fmt.Sprint(accepted.LocalAddr().(*net.TCPAddr).Port)
	// The two functions of the package bash-completion that the script calls stand in here for the whole of it.
	const script = `
_get_comp_words_by_ref() { cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words=("${COMP_WORDS[@]}") cword=$COMP_CWORD; }
__ltrim_colon_completions() { :; }
compopt() { :; } # is for when bash itself completes
source <(connectionsd completion bash) || exit
for line in "connectionsd li" "connectionsd list --netns self --local-port $1" "connectionsd completion f"; do
	COMP_WORDS=($line) COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMP_LINE=$line COMP_POINT=${#line} COMP_TYPE=9 COMPREPLY=()
	__start_connectionsd
	echo "${COMPREPLY[*]}"
done
`
	command := exec.CommandContext(t.Context(), "bash", "--norc", "--noprofile", "-c", script, "bash", port)
	command.Env = append(os.Environ(), "PATH="+directory+":"+os.Getenv("PATH"))
	out, err := command.CombinedOutput()
	want := "list\n" + port + "\nfish\n"
	if err != nil || string(out) != want {
		t.Errorf("%v:\n%swant\n%s", err, out, want)
	}
}

// The other shells' scripts are made too; where there is such a shell it can read its own.
func TestCompletionScripts(t *testing.T) {
	for shell, begins := range map[string]string{"bash": "# bash completion V2 for connectionsd", "zsh": "#compdef connectionsd", "fish": "# fish completion for connectionsd"} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), []string{"completion", shell}, &stdout, &stderr, nil); code != exitOK || !strings.HasPrefix(stdout.String(), begins) {
			t.Errorf("%s: exit code %d, %.60q %s", shell, code, stdout.String(), stderr.String())
		}
		path, err := exec.LookPath(shell)
		if err != nil {
			continue
		}
		command := exec.CommandContext(t.Context(), path, "-n")
		command.Stdin = &stdout
		if out, err := command.CombinedOutput(); err != nil {
			t.Errorf("%s -n: %v: %s", shell, err, out)
		}
	}
	for _, args := range [][]string{{"completion"}, {"completion", "tcsh"}, {"completion", "bash", "zsh"}} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), args, &stdout, &stderr, nil)
		if want := fmt.Sprintf("connectionsd: completion %q: want the name of a shell: one of bash, fish, zsh\n", strings.Join(args[1:], " ")); code != exitUsage || stderr.String() != want || stdout.Len() > 0 {
			t.Errorf("%v: exit code %d, %q, want 2 and %q", args, code, stderr.String(), want)
		}
	}
}
