// Package di stands in for what puts a step runner together: it says that there is none.
package di

import (
	"errors"
	"log/slog"

	"gitlab.com/gitlab-org/step-runner/pkg/runner"
	"gitlab.com/gitlab-org/step-runner/proto"
)

// Container holds nothing.
type Container struct{}

// WithBuiltinFunc is accepted and not used.
func WithBuiltinFunc(string, runner.BuiltinFunction) func(*Container) { return nil }

// WithOperatorLogger is accepted and not used.
func WithOperatorLogger(*slog.Logger) func(*Container) { return nil }

// NewContainer makes an empty container.
func NewContainer(...func(*Container)) *Container { return &Container{} }

// StepRunnerService refuses: a job that has `run:` fails with this message.
func (*Container) StepRunnerService() (proto.StepRunnerServer, error) {
	return nil, errors.New("CI steps (run:) are not in Forgeline's build of the runner")
}
