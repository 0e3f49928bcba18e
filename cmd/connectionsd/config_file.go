package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"
)

// configFileKey names the configuration file, so it is the one key that cannot stand in it.
const configFileKey = "config-file"

// keyCharacters are those that somebody may take for a part of a key, and what they write before one.
const keyCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// maxFile bounds the files that the configuration names, in bytes: a wrong path (a device, a log) must not fill the memory.
const maxFile = 1 << 20

// configFile is the koanf.Provider of a configuration file in monerod's format.
type configFile struct {
	path   string
	origin string // who named the file
}

// Read returns the file's settings by key. koanf's own file provider would read without a bound.
func (f configFile) Read() (map[string]any, error) {
	data, err := f.ReadBytes()
	if err != nil {
		return nil, err
	}
	return parseConfigFile(f.path, data)
}

// ReadBytes returns the file as it is.
func (f configFile) ReadBytes() ([]byte, error) {
	data, err := readFile(f.path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.origin, err)
	}
	return data, nil
}

// readFile returns the content of the file at path, whose name is in each error.
func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
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

// parseConfigFile returns the settings ([]setting) of each key that stands in data, the content of the file at path.
//
// The format is monerod's: a line is "key=value", with or without spaces around both, or blank. "#" starts a comment at the
// start of a line and after a space or tab; elsewhere it is part of the value. Errors name the line, the first being 1.
func parseConfigFile(path string, data []byte) (map[string]any, error) {
	all := keys()
	names := make([]string, 0, len(all))
	for _, k := range all {
		names = append(names, k.name)
	}
	settings := map[string]any{}
	lineOf := map[string]int{}
	number := 0
	for line := range strings.SplitSeq(strings.TrimPrefix(string(data), "\ufeff"), "\n") {
		number++
		wrong := func(err error) error { return fmt.Errorf("%s:%d: %w", path, number, err) }
		if !utf8.ValidString(line) {
			return nil, wrong(errors.New("bytes that are no text: want UTF-8"))
		}
		line = strings.TrimSpace(withoutComment(line))
		if line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		// Quoted is only what looks like a key: the rest of a line that is wrong may be a secret ("rpc-login user:pass=word").
		if !ok || strings.Trim(name, keyCharacters) != "" || name == "" {
			return nil, wrong(errors.New("want key=value"))
		}
		i := slices.Index(names, name)
		if i < 0 {
			return nil, wrong(unknown("key", name, nearest(name, names), "connectionsd serve --help"))
		}
		if name == configFileKey {
			return nil, wrong(fmt.Errorf("%s: a configuration file cannot name another: want it as a flag or variable", name))
		}
		if first, again := lineOf[name]; again && all[i].kind != list {
			return nil, wrong(fmt.Errorf("%s: already set on line %d: want it once", name, first))
		}
		lineOf[name] = number
		so, _ := settings[name].([]setting)
		settings[name] = append(so, setting{Value: value, Origin: fmt.Sprintf("%s:%d %s", path, number, name)})
	}
	return settings, nil
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
