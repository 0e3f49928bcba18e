package docs_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/connectionsd/connectionsd/docs"
)

// handled are the names that the command gives to the methods of its routers, by the variable that the router is in.
func handled(t *testing.T) map[string][]string {
	t.Helper()
	files, err := filepath.Glob("../cmd/connectionsd/*.go")
	if err != nil {
		t.Fatal(err)
	}
	names := make(map[string][]string)
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			method, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || method.Sel.Name != "Handle" && method.Sel.Name != "HandleStream" {
				return true
			}
			router, ok := method.X.(*ast.Ident)
			name, isText := call.Args[0].(*ast.BasicLit)
			if !ok || !isText {
				t.Errorf("%s: a method is handled whose name is not written there", path)
				return true
			}
			text, err := strconv.Unquote(name.Value)
			if err != nil {
				t.Fatal(err)
			}
			names[router.Name] = append(names[router.Name], text)
			return true
		})
	}
	for _, list := range names {
		slices.Sort(list)
	}
	return names
}

// The methods that the command handles are those that the documents describe: here because only there is known which
// they are. That the documents describe them rightly is tested in package rpc.
func TestMethods(t *testing.T) {
	var rpc struct{ Methods []struct{ Name string } }
	if err := json.Unmarshal([]byte(docs.OpenRPC()), &rpc); err != nil {
		t.Fatal(err)
	}
	var api struct {
		Paths map[string]map[string]any
	}
	if err := yaml.Unmarshal([]byte(docs.OpenAPI()), &api); err != nil {
		t.Fatal(err)
	}
	documented := make(map[string][]string)
	for _, method := range rpc.Methods {
		documented["router"] = append(documented["router"], method.Name)
	}
	for path, operations := range api.Paths {
		if operations["post"] != nil { // all else is only read
			documented["bare"] = append(documented["bare"], strings.TrimPrefix(path, "/"))
		}
	}
	for _, list := range documented {
		slices.Sort(list)
	}
	if diff := cmp.Diff(documented, handled(t)); diff != "" {
		t.Errorf("methods by router (-documented +handled):\n%s", diff)
	}
}
