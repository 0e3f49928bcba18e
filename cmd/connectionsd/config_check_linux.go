package main

import (
	"fmt"

	"github.com/connectionsd/connectionsd/privilege"
)

// checkUser returns what is wrong with the user of cfg, if there is to be one. Whether serve may become that user depends on
// who starts it.
func checkUser(cfg Config) error {
	if cfg.User == "" {
		return nil
	}
	if _, err := privilege.LookUp(cfg.User); err != nil {
		return fmt.Errorf("--user %s: %w", cfg.User, err)
	}
	return nil
}
