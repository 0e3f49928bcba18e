package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// logEvent is a kind of log line, as the source makes it in one place.
type logEvent struct {
	at, message, level string   // the level is "" where it is not said in the place itself
	fields             []string // as far as they are added in the place itself
}

// logEvents returns all that the program can log: each call of Msg of a zerolog.Event.
func logEvents(t *testing.T) []logEvent {
	t.Helper()
	var events []logEvent
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			// What begins with a dot is none of the daemon's, and the others do not run in it.
			if name := d.Name(); path != ".." && (name[0] == '.' || slices.Contains([]string{"bin", "docs", "packaging", "test", "tools"}, name)) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			method, ok := call.Fun.(*ast.SelectorExpr)
			isEnd := ok && (slices.Contains([]string{"Msg", "Msgf", "MsgFunc"}, method.Sel.Name) || method.Sel.Name == "Send" && len(call.Args) == 0)
			if !isEnd {
				return true
			}
			event := logEvent{at: files.Position(method.Sel.Pos()).String()}
			if len(call.Args) == 1 && method.Sel.Name == "Msg" {
				event.message = text(call.Args[0])
			}
			if event.message == "" {
				t.Errorf("%s: a message that is not written there, as one string: put what varies into a field", event.at)
				return true
			}
			for made := method.X; ; {
				call, ok := made.(*ast.CallExpr)
				if !ok {
					break
				}
				of, ok := call.Fun.(*ast.SelectorExpr)
				if !ok {
					break
				}
				switch name := of.Sel.Name; name {
				case "Trace", "Debug", "Info", "Warn", "Error":
					event.level = strings.ToLower(name)
				case "Err":
					event.fields = append(event.fields, "error")
				case "Stack", "Caller", "Timestamp": // fields of zerolog's own names
					t.Errorf("%s: %s is not documented by this test", event.at, name)
				default:
					event.fields = append(event.fields, text(call.Args[0]))
				}
				made = of.X
			}
			events = append(events, event)
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return events
}

// text is the string that an expression stands for, "" if that is not written there.
func text(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, _ := strconv.Unquote(e.Value) // of a number there is none
		return s
	case *ast.BinaryExpr:
		left, right := text(e.X), text(e.Y)
		if left == "" || right == "" {
			return ""
		}
		return left + right
	}
	return ""
}

// documentedEvent is a row of docs/logging.md.
type documentedEvent struct{ levels, fields string }

// documentedEvents returns the rows of docs/logging.md by their message.
func documentedEvents(t *testing.T) map[string]documentedEvent {
	t.Helper()
	page, err := os.ReadFile("logging.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := make(map[string]documentedEvent)
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(line, " | ")
		message, ok := strings.CutPrefix(cells[0], "| `")
		if len(cells) != 4 || !ok {
			continue
		}
		message = strings.TrimSuffix(message, "`")
		if _, again := rows[message]; again {
			t.Errorf("docs/logging.md has two rows of %q", message)
		}
		rows[message] = documentedEvent{cells[1], cells[2]}
	}
	return rows
}

// Each event that the program can log is documented with its level and its fields, and no other is.
func TestLogEventsAreDocumented(t *testing.T) {
	documented := documentedEvents(t)
	logged := make(map[string]bool)
	for _, event := range logEvents(t) {
		logged[event.message] = true
		row, ok := documented[event.message]
		if !ok {
			t.Errorf("%s: docs/logging.md has no row of %q", event.at, event.message)
			continue
		}
		if !slices.Contains(strings.Split(row.levels, ", "), event.level) && event.level != "" {
			t.Errorf("%s: docs/logging.md says that the level of %q is %s, not %s", event.at, event.message, row.levels, event.level)
		}
		for _, field := range event.fields {
			if !strings.Contains(row.fields, "`"+field+"`") {
				t.Errorf("%s: docs/logging.md does not say that %q has the field %q", event.at, event.message, field)
			}
		}
	}
	for message := range documented {
		if !logged[message] {
			t.Errorf("docs/logging.md has a row of %q, which nothing logs", message)
		}
	}
	if len(logged) < 25 {
		t.Errorf("%d events are found in the source, want 25 or more", len(logged))
	}
}
