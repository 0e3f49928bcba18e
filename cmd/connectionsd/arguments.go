package main

import "strings"

// hideSecrets returns a copy of args, the arguments of this process, in whose place the process list shows no secret any
// more, where that can be done.
func hideSecrets(args []string) []string {
	copied := make([]string, len(args))
	for i, arg := range args {
		copied[i] = strings.Clone(arg)
	}
	for _, value := range secretValues(args) {
		blank(value)
	}
	return copied
}

// secretValues returns the parts of args, as pflag reads them, that are the values of secret keys.
func secretValues(args []string) []string {
	var values []string
	for _, k := range keys() {
		if k.visibility != secret {
			continue
		}
		for i, arg := range args {
			if value, ok := strings.CutPrefix(arg, "--"+k.name+"="); ok {
				values = append(values, value)
			}
			if arg == "--"+k.name && i+1 < len(args) {
				values = append(values, args[i+1])
			}
		}
	}
	return values
}
