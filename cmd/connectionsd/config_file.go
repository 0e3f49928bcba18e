package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"unicode/utf8"
)

// configFileKey names the configuration file, so it is the one key that cannot stand in it.
const configFileKey = "config-file"

// keyCharacters are those that somebody may take for a part of a key, and what they write before one.
const keyCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// maxFile bounds the files that the configuration names, in bytes: a wrong path (a device, a log) must not fill the memory.
const maxFile = 1 << 20

// configFile is the koanf.Provider of a configuration file in monerod's format: its settings ([]setting) by key.
type configFile map[string]any

// Read returns the settings.
func (f configFile) Read() (map[string]any, error) { return f, nil }

// ReadBytes is the other way to provide settings, which koanf does not take where there is no parser.
func (f configFile) ReadBytes() ([]byte, error) {
	return nil, errors.New("a configuration file that has been read has no bytes")
}

// readConfigFile reads the file at path, which origin has named: koanf's own file provider would read without a bound. With
// errors there are the settings that are right.
func readConfigFile(path, origin string, open opener) (configFile, []error) {
	data, err := readFileBy(open, path)
	if err != nil {
		return nil, []error{fmt.Errorf("%s: %w", origin, err)}
	}
	return parseConfigFile(path, data)
}

// opener opens a file that the configuration names: os.Open, or openAgain.
type opener func(path string) (*os.File, error)

// openAgain is for a file that was read before. What is none, such as the pipe of a shell's <(command), is read once: to open it
// again could wait for ever, or show an empty file.
func openAgain(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file, and only those can be read again", path)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// readFile returns the content of the file at path, whose name is in each error.
func readFile(path string) ([]byte, error) { return readFileBy(os.Open, path) }

func readFileBy(open opener, path string) ([]byte, error) {
	file, err := open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s is too large: want a file of at most %d bytes", path, maxFile)
	}
	return data, nil
}

// parseConfigFile returns the settings of each key that stands in data, the content of the file at path, and what is wrong
// with its lines.
//
// The format is monerod's: a line is "key=value", with or without spaces around both, or blank. "#" starts a comment at the
// start of a line and after a space or tab; elsewhere it is part of the value. Errors name the line, the first being 1.
func parseConfigFile(path string, data []byte) (settings configFile, errs []error) {
	all := keys()
	names := make([]string, 0, len(all))
	for _, k := range all {
		names = append(names, k.name)
	}
	settings = configFile{}
	lineOf := map[string]int{}
	number := 0
	for line := range strings.SplitSeq(strings.TrimPrefix(string(data), "\ufeff"), "\n") {
		number++
		wrong := func(err error) { errs = append(errs, fmt.Errorf("%s:%d: %w", path, number, err)) }
		if !utf8.ValidString(line) {
			wrong(errors.New("bytes that are no text: want UTF-8"))
			continue
		}
		line = strings.TrimSpace(withoutComment(line))
		if line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		// Quoted is only what looks like a key: the rest of a line that is wrong may be a secret ("rpc-login user:pass=word").
		if !ok || strings.Trim(name, keyCharacters) != "" || name == "" {
			wrong(errors.New("want key=value"))
			continue
		}
		i := slices.Index(names, name)
		if i < 0 {
			wrong(unknown("key", name, nearest(name, names), "connectionsd serve --help"))
			continue
		}
		if name == configFileKey {
			wrong(fmt.Errorf("%s: a configuration file cannot name another: want it as a flag or variable", name))
			continue
		}
		if first, again := lineOf[name]; again && all[i].kind != list {
			wrong(fmt.Errorf("%s: already set on line %d: want it once", name, first))
			continue
		}
		lineOf[name] = number
		so, _ := settings[name].([]setting)
		settings[name] = append(so, setting{Value: value, Origin: fmt.Sprintf("%s:%d %s", path, number, name)})
	}
	return settings, errs
}

// withoutComment returns line up to its comment.
func withoutComment(line string) string {
	for i := range len(line) {
		if line[i] == '#' && (i == 0 || line[i-1] == ' ' || line[i-1] == '\t') {
			return line[:i]
		}
	}
	return line
}
