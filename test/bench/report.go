//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/connectionsd/connectionsd/test/measuring"
)

// report is all that was found.
type report struct {
	machine *measuring.Table
	found   section
}

// add adds what a benchmark found, and prints it.
func (r *report) add(to io.Writer, s *section) error {
	for _, t := range s.tables {
		if err := t.Print(to); err != nil {
			return err
		}
	}
	r.found.tables = append(r.found.tables, s.tables...)
	r.found.targets = append(r.found.targets, s.targets...)
	return nil
}

// end prints what of the targets is met, and writes all to the file markdown
// unless that is "".
func (r *report) end(to io.Writer, markdown string) error {
	var head []*measuring.Table
	if len(r.found.targets) > 0 {
		head = append(head, targetTable(r.found.targets))
		if err := head[0].Print(to); err != nil {
			return err
		}
	}
	if markdown == "" {
		return nil
	}
	var parts []string
	for _, t := range append(append(head, r.found.tables...), r.machine) {
		parts = append(parts, t.Markdown())
	}
	if err := os.WriteFile(markdown, []byte(strings.Join(parts, "\n")), 0o644); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}
