package docs_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// documentedMessages returns all that stands in `code` in the text of docs/troubleshooting.md, and of that what is said to be a
// message: what an entry of a list begins with.
func documentedMessages(t *testing.T) (all, entries []string) {
	t.Helper()
	code := regexp.MustCompile("`[^`]+`")
	head := regexp.MustCompile("^- (?:`[^`]+`(?:, )?)+")
	spans := func(text string) (found []string) {
		for _, span := range code.FindAllString(text, -1) {
			found = append(found, strings.Trim(span, "`"))
		}
		return found
	}
	var paragraph string
	end := func() {
		all = append(all, spans(paragraph)...)
		entries = append(entries, spans(head.FindString(paragraph))...)
		paragraph = ""
	}
	for line := range strings.Lines(read(t, "troubleshooting.md")) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "    "): // an example
			end()
		case line == "", strings.HasPrefix(line, "- "), strings.HasPrefix(line, "|"), strings.HasPrefix(line, "#"):
			end()
			paragraph = line
		default:
			paragraph += " " + strings.TrimSpace(line)
		}
	}
	end()
	return all, entries
}

// matcher matches what documents m: its words as they are, and for what varies anything but a part of its own, or "…".
func (m *message) matcher() *regexp.Regexp {
	parts := strings.Split(m.pattern, varies)
	for i, part := range parts {
		parts[i] = regexp.QuoteMeta(part)
	}
	pattern := strings.Join(parts, `(?:[^:]|:\S)*`)
	if m.whole {
		pattern = "^" + pattern + "$"
	}
	return regexp.MustCompile(pattern)
}

// Each message that says what is wrong stands in docs/troubleshooting.md, in the words of the source, and no entry there is of a
// message that is not said any more.
func TestMessagesAreDocumented(t *testing.T) {
	documented, entries := documentedMessages(t)
	said := make(map[string]bool) // of the entries
	found := messages(t)
	excepted := make(map[string]bool)
	for _, m := range found {
		file, _, _ := strings.Cut(m.at, ":")
		if notMessagesIn[file] != "" {
			excepted[file] = true
			continue
		}
		if notMessages[m.pattern] != "" {
			excepted[m.pattern] = true
			continue
		}
		matcher := m.matcher()
		if !slices.ContainsFunc(documented, matcher.MatchString) {
			t.Errorf("%s: docs/troubleshooting.md does not say what to do about `%s`", m.at, m.pattern)
		}
		for _, entry := range entries {
			said[entry] = said[entry] || matcher.MatchString(entry)
		}
	}
	for _, entry := range entries {
		if !said[entry] {
			t.Errorf("docs/troubleshooting.md has an entry of `%s`, which nothing says", entry)
		}
	}
	for _, exceptions := range []map[string]string{notMessages, notMessagesIn} {
		for text := range exceptions {
			if !excepted[text] {
				t.Errorf("%q is an exception of nothing", text)
			}
		}
	}
	if len(found) < 300 || len(entries) < 200 {
		t.Errorf("there are %d messages in the source and %d entries, want more", len(found), len(entries))
	}
}
