package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// message is a text that the source makes in one place, for somebody to read.
type message struct {
	at      string
	pattern string // with "…" for what varies
	whole   bool   // it is a message by itself; else it is, or may be, a part of one
}

// varies stands in a pattern for what is not written there.
const varies = "…"

// constructors are what makes messages, by name, with the indices of the arguments that are texts.
var constructors = map[string][]int{
	"errors.New": {0}, "fmt.Errorf": {0}, // errors
	"newError": {1, 2}, "InvalidParams": {0}, "invalidRequest": {0}, "parseError": {0}, // of JSON-RPC
	"writeStatus": {2, 3}, // of plain HTTP
}

// elsewhere are the calls, fields and types whose texts are no messages, or ones that another page is held against.
var elsewhere = map[string]string{
	"Msg": "docs/logging.md",

	// The help, which the pages of the commands and the manual pages are held against.
	"Use": "help", "Short": "help", "Long": "help", "Example": "help", "usage": "help", "section": "help",
	"key": "help", "parameter": "help", "switched": "help", "valued": "help", "ofServe": "help", "BoolFunc": "help",

	"Help": "docs/metrics.md", "desc": "docs/metrics.md", "traffic": "docs/metrics.md", "NewDesc": "docs/metrics.md",

	"unknown": "names of commands: the message is in it",
	"panic":   "an error of the program, which no input brings about", "sharedAnswerOf": "a key", "SetStatus": "a span",
}

// notMessages are texts that nobody is shown as what is wrong, and why that is so.
var notMessages = map[string]string{
	"the kernel cannot show the files of one process to BPF: it is older than Linux 6.1": "the owners of all sockets are looked for instead",
	"the connections of one process cannot be told":                                      "the same",
	"a socket has no owner that is remembered":                                           "the same",
	"the scope cannot be collected by itself":                                            "it is collected with all sockets",
	"as many large bodies are read as may be":                                            "answered as Service Unavailable",
	"no dump has been made yet":                                                          "/readyz says not ready",
	"its answer is too long":                                                             "said in the words of the sentence that explains it",
	"it ended the connection":                                                            "the same",
	"it has no URL":                                                                      "the address was checked when it was read",
	"a configuration file that has been read has no bytes":                               "koanf asks for settings",

	"ok: settings given: …, the others are defaults": "nothing is wrong",
	"without an address":                    "the field client in docs/logging.md",
	`Digest qop="auth",algorithm=MD5…`:      "a challenge",
	`Digest qop="auth",algorithm=MD5-sess…`: "the same",
	"(other processes)":                     "a label in docs/metrics.md",
	"(other containers)":                    "the same",
}

// notMessagesIn are files whose texts are no messages, and what they are.
var notMessagesIn = map[string]string{
	"../cmd/connectionsd/usage.go":       "the help",
	"../cmd/connectionsd/watch_view.go":  "the screen of watch",
	"../cmd/connectionsd/watch_model.go": "the same",
	"../collector/process/option.go":     "names of programs",
	"../collector/service/parse.go":      "for who changes services.tsv, which is a part of the program and read by a test",
	"../model/listener.go":               "the member addressDescription",
}

// messages returns all that the program can say of what is wrong: what is given to constructors, and every other text of two
// words or more that is not known to be something else.
func messages(t *testing.T) []message {
	t.Helper()
	var all []message
	directories := make(map[string][]*ast.File)
	files := token.NewFileSet()
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			// What begins with a dot is none of the daemon's, and the others do not run in it.
			if name := d.Name(); path != ".." && (name[0] == '.' || slices.Contains([]string{"bin", "docs", "packaging", "sockdiagtest", "test", "tools"}, name)) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		directory := filepath.Dir(path)
		directories[directory] = append(directories[directory], file)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, parsed := range directories {
		constants := constantTexts(parsed)
		for _, file := range parsed {
			r := &reader{files: files, constants: constants}
			r.read(file, "")
			all = append(all, r.found...)
		}
	}
	return all
}

// constantTexts are the constants of a package that are texts.
func constantTexts(parsed []*ast.File) map[string]string {
	texts := make(map[string]string)
	for _, file := range parsed {
		for _, declaration := range file.Decls {
			d, ok := declaration.(*ast.GenDecl)
			if !ok || d.Tok != token.CONST {
				continue
			}
			for _, spec := range d.Specs {
				spec := spec.(*ast.ValueSpec)
				for i, value := range spec.Values {
					if s := text(value); s != "" {
						texts[spec.Names[i].Name] = s
					}
				}
			}
		}
	}
	return texts
}

// reader finds the messages of a file.
type reader struct {
	files     *token.FileSet
	constants map[string]string
	found     []message
}

// read finds those below n. of is the call or the field that n stands in.
func (r *reader) read(n ast.Node, of string) {
	ast.Inspect(n, func(below ast.Node) bool {
		if below == n {
			return true
		}
		switch below := below.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.Field: // it may have a tag
			r.read(below.Type, of)
			return false
		case *ast.CallExpr:
			r.call(below)
			return false
		case *ast.CompositeLit:
			r.literal(below, of)
			return false
		case *ast.KeyValueExpr:
			r.value(below, of)
			return false
		case *ast.BasicLit, *ast.BinaryExpr:
			r.value(below.(ast.Expr), of)
			return false
		}
		return true
	})
}

// value reads an expression.
func (r *reader) value(e ast.Expr, of string) {
	switch e := e.(type) {
	case *ast.KeyValueExpr:
		if id, ok := e.Key.(*ast.Ident); ok {
			of = id.Name
		}
		r.value(e.Value, of)
	case *ast.CompositeLit:
		r.literal(e, of)
	case *ast.BasicLit:
		r.text(e, of)
	case *ast.BinaryExpr:
		if e.Op == token.ADD && strings.Trim(r.pattern(e), varies) != "" {
			r.text(e, of)
			r.inside(e)
			return
		}
		r.value(e.X, of)
		r.value(e.Y, of)
	case *ast.CallExpr:
		r.call(e)
	default:
		r.read(e, of)
	}
}

// literal reads a composite literal. One whose type is left out is of that of the elements of the one it is in.
func (r *reader) literal(l *ast.CompositeLit, of string) {
	switch kind := l.Type.(type) {
	case *ast.Ident:
		of = kind.Name
	case *ast.ArrayType:
		if id, ok := kind.Elt.(*ast.Ident); ok {
			of = id.Name
		}
	}
	for _, e := range l.Elts {
		r.value(e, of)
	}
}

// call reads a call.
func (r *reader) call(call *ast.CallExpr) {
	var name, last string
	switch fun := call.Fun.(type) {
	case *ast.Ident:
		name, last = fun.Name, fun.Name
	case *ast.SelectorExpr:
		name, last = fun.Sel.Name, fun.Sel.Name
		if id, ok := fun.X.(*ast.Ident); ok && (id.Name == "fmt" || id.Name == "errors" || id.Name == "strings" || id.Name == "bytes") {
			name = id.Name + "." + last
		} else {
			r.value(fun.X, "")
		}
	default:
		r.value(call.Fun, "")
	}
	if elsewhere[last] != "" {
		return
	}
	for i, argument := range call.Args {
		if slices.Contains(constructors[name], i) {
			if p := r.pattern(argument); strings.Trim(p, varies) != "" {
				r.add(argument, p, true)
				r.inside(argument)
				continue
			}
		}
		if strings.HasPrefix(name, "strings.") && name != "strings.Join" || strings.HasPrefix(name, "bytes.") {
			continue // it is looked for
		}
		r.value(argument, last)
	}
}

// inside reads what a text is put together of, besides what its pattern has already.
func (r *reader) inside(e ast.Expr) {
	ast.Inspect(e, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if of, ok := call.Fun.(*ast.SelectorExpr); ok && of.Sel.Name == "Sprintf" {
			for _, argument := range call.Args[1:] {
				r.value(argument, "Sprintf")
			}
		} else {
			r.call(call)
		}
		return false
	})
}

// text adds a text that no constructor is given.
func (r *reader) text(e ast.Expr, of string) {
	if elsewhere[of] != "" {
		return
	}
	r.add(e, r.pattern(e), false)
}

var (
	words    = regexp.MustCompile(`[A-Za-z]{2,}`)
	twoWords = regexp.MustCompile(`[a-z]{2,}[,;:.]? [A-Za-z(]`)
)

// add adds a message, unless it has no words of its own, or could be another kind of text than one for people to read.
func (r *reader) add(e ast.Expr, pattern string, whole bool) {
	pattern = strings.TrimSpace(pattern)
	pattern = pattern[strings.LastIndex(pattern, "\r\n")+1:] // behind the headers of an answer
	pattern = strings.TrimSpace(pattern)
	if !words.MatchString(pattern) || !whole && !twoWords.MatchString(pattern) {
		return
	}
	r.found = append(r.found, message{at: r.files.Position(e.Pos()).String(), pattern: pattern, whole: whole})
}

var verbs = regexp.MustCompile(`%[-+# 0]*[0-9]*(?:\.[0-9]+)?[a-zA-Z]`)

// pattern is the text that an expression makes, with "…" for what varies.
func (r *reader) pattern(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(e.Value)
		if err != nil || e.Kind != token.STRING {
			return varies
		}
		return verbs.ReplaceAllString(s, varies)
	case *ast.Ident:
		if s, ok := r.constants[e.Name]; ok {
			return s
		}
	case *ast.ParenExpr:
		return r.pattern(e.X)
	case *ast.BinaryExpr:
		return r.pattern(e.X) + r.pattern(e.Y)
	case *ast.CallExpr:
		if of, ok := e.Fun.(*ast.SelectorExpr); ok && of.Sel.Name == "Sprintf" {
			return r.pattern(e.Args[0])
		}
	}
	return varies
}
