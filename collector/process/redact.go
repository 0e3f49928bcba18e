package process

import (
	"cmp"
	"path"
	"slices"
	"strings"
)

// mask is shown in place of a secret.
const mask = "***"

// redact joins args with blanks, with the mask in place of secrets:
//
//   - what follows a name that tells of a secret (name.go): --password=X,
//     password: X, "password":"X", PGPASSWORD=X, ?token=X, Authorization: X,
//     -Dkey.password=X, and in words of their own --password X, requirepass X
//   - what follows a short option that takes a secret in a program that the
//     line names (option.go): mysql -pX, redis-cli -a X; in any program what
//     follows -p and is no port, and what follows -u or --user and has a colon
//   - the password in user:X@host and scheme://user:X@host, and X in
//     scheme://X@host (credentials.go)
//
// How far a secret goes: an argument is one value, whatever blanks are in it. A
// secret that is an argument of its own is all of it, and one that begins
// within an argument goes to its end; in ?token=X&y=1 it goes to the &.
//
// A line of one argument may be a title that the process gave itself. It is
// taken word by word: a secret in it goes to the next word that is a flag.
//
// A flag behind a name is no value, so that `--auth --port 27017` is shown as it
// is, which is why a secret that is written like a flag is shown as well:
// letters and digits behind two dashes, or one letter behind one. -secret-,
// -Secret and --$x are values. Neither are true, false and none hidden, nor what
// stands behind a flag that begins with no, without, disable or skip.
func redact(args []string) string {
	var r redactor
	if len(args) == 1 {
		r.title(args[0])
		return r.line.String()
	}
	for i, arg := range args {
		if i > 0 {
			r.line.WriteByte(' ')
		}
		r.argument(arg)
	}
	return r.line.String()
}

// redactor goes through a command line once, from its first word to its last.
type redactor struct {
	line    strings.Builder
	begun   bool     // whether there was a word
	options []string // that take a secret in the programs named so far
	next    expectation
}

// expectation is what a word says of the one behind it.
type expectation int

const (
	anything   expectation = iota
	aSecret                // it is one
	portOrPass             // it is one unless it is a port
	userOrPass             // it is one if it has a colon
)

// hides reports whether value, which stands where e was expected, is a secret.
func (e expectation) hides(value string) bool {
	switch e {
	case aSecret:
		return !isFlag(value) && !isPlain(value)
	case portOrPass:
		return !isFlag(value) && !isPort(value)
	case userOrPass:
		return strings.Contains(value, ":")
	default:
		return false
	}
}

// span is a part of a string: from, and up to but not including, to.
type span struct{ from, to int }

// title writes a line of one argument.
func (r *redactor) title(title string) {
	var hidden []span
	open := false // whether the last of hidden goes on
	for word := range wordsOf(title) {
		w := title[word.from:word.to]
		if r.next.hides(w) {
			if !open {
				hidden = append(hidden, word)
			}
			hidden[len(hidden)-1].to = word.to
			open, r.next = true, aSecret
			continue
		}
		hidden = credentials(hidden, w, word.from)
		if hidden, open = r.word(hidden, w, len(w), word.from); open {
			r.next = aSecret
		}
	}
	r.write(title, hidden)
}

// argument writes the next of several arguments.
func (r *redactor) argument(arg string) {
	hidden := credentials(nil, arg, 0)
	first := true
	for word := range wordsOf(arg) {
		w, rest := arg[word.from:word.to], arg[word.from:]
		from, value := word.from, w
		if first { // behind another argument, this one is the value as a whole
			from, value, first = 0, rest, false
		}
		if r.next.hides(value) {
			hidden = append(hidden, span{from, len(arg)})
			r.next = behindSecret(rest)
			break
		}
		open := false
		if hidden, open = r.word(hidden, rest, len(w), word.from); open {
			break
		}
	}
	if first {
		r.next = anything // an empty argument is a value too
	}
	r.write(arg, hidden)
}

// behindSecret returns what is expected behind an argument that is hidden. It
// can be a name itself, where the one before it took no value or was cut in
// two: -password -token X, Authorization: Bearer X.
func behindSecret(arg string) expectation {
	if isScheme(arg) {
		return aSecret
	}
	if n, ok := loneName(arg); ok && n.announces() {
		return aSecret
	}
	return anything
}

// word looks at a word that is not hidden as a whole. It has the first size bytes
// of value; a secret that begins in it goes to the end of value, as a rule. The
// spans that are secret, at offset, are appended to hidden; open is true if one
// goes to the end. What is expected next is noted.
func (r *redactor) word(hidden []span, value string, size, offset int) (_ []span, open bool) {
	w := value[:size]
	first := !r.begun
	r.begun = true

	var from int
	if from, r.next = r.option(w); from > 0 {
		return append(hidden, span{offset + from, offset + len(value)}), true
	}
	if r.next != anything {
		return hidden, false
	}
	before := len(hidden)
	if hidden, open, r.next = assignments(hidden, value, size, offset); r.next != anything || len(hidden) > before {
		return hidden, open
	}
	if n, ok := loneName(w); ok {
		switch {
		case n.announces() && (n.isFlag || !first): // the first word is the program's name
			r.next = aSecret
		case n.isFlag && n.isUser():
			r.next = userOrPass
		}
	}
	for _, option := range secretOptions[path.Base(strings.Trim(w, quotes+":"))] {
		if !slices.Contains(r.options, option) {
			r.options = append(r.options, option)
		}
	}
	return hidden, false
}

// option looks at w as a short option. The secret in it begins at from, unless
// that is 0; else next is what is expected behind w.
func (r *redactor) option(w string) (from int, next expectation) {
	for _, option := range r.options {
		if w == option {
			return 0, aSecret
		}
		if strings.HasPrefix(w, option) {
			return len(option), anything
		}
	}
	for _, option := range r.options {
		if isCluster(w, option) {
			return 0, aSecret
		}
	}
	if len(w) < len("-p") || w[0] != '-' {
		return 0, anything
	}
	attached, isAttached := strings.CutPrefix(w[len("-p"):], "=")
	if !isAttached && attached != "" {
		return 0, anything
	}
	switch w[1] {
	case 'p', 'P':
		next = portOrPass
	case 'u', 'U':
		next = userOrPass
	}
	if !isAttached {
		return 0, next
	}
	if next.hides(attached) {
		return len("-p="), anything
	}
	return 0, anything
}

// write writes arg with the mask in place of what is hidden.
func (r *redactor) write(arg string, hidden []span) {
	slices.SortFunc(hidden, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	shown := 0
	for i := 0; i < len(hidden); {
		s := hidden[i]
		for i++; i < len(hidden) && hidden[i].from <= s.to; i++ {
			s.to = max(s.to, hidden[i].to)
		}
		r.line.WriteString(arg[shown:s.from])
		r.line.WriteString(mask)
		shown = s.to
	}
	r.line.WriteString(arg[shown:])
}
