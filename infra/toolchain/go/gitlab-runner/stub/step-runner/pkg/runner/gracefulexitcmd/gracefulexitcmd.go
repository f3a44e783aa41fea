// Package gracefulexitcmd stands in for the step runner's way of starting programs.
package gracefulexitcmd

import (
	"context"
	"os/exec"
	"time"
)

// New makes a command that is ended with its context, and waited for no longer than delay after that.
func New(ctx context.Context, delay time.Duration, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = delay
	return cmd
}
