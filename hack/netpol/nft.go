package main

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// nft runs scripts with the nft program at a path. A script is one transaction: it is applied completely or not at all.
type nft struct {
	path string
}

// run passes the script to nft; the error contains the output of nft.
func (n nft) run(ctx context.Context, script string) error {
	command := exec.CommandContext(ctx, n.path, "-f", "-")
	command.Stdin = strings.NewReader(script)
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%s -f -: %w: %s", n.path, err, strings.TrimSpace(string(output)))
	}
	return nil
}
