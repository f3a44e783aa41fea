// Package api stands in for the types of upstream's `wrapper` command, which this build does not register.
package api

import (
	"context"
	"errors"

	"github.com/sirupsen/logrus"
)

// ErrProcessNotInitialized is what the wrapper answers while it has no process.
var ErrProcessNotInitialized = errors.New("process not initialized")

// Status of the wrapped process.
type Status int

// The states that upstream's wrapper names.
const (
	StatusUnknown Status = iota
	StatusRunning
	StatusInShutdown
	StatusStopped
)

func (s Status) String() string {
	return [...]string{"unknown", "running", "in shutdown", "stopped"}[s]
}

// ShutdownCallback is called when the wrapped process has ended.
type ShutdownCallback interface{ Run(ctx context.Context) }

// ShutdownCallbackDef says where a ShutdownCallback calls.
type ShutdownCallbackDef interface {
	URL() string
	Method() string
}

// InitGracefulShutdownRequest asks for a graceful shutdown.
type InitGracefulShutdownRequest interface{ ShutdownCallbackDef() ShutdownCallbackDef }

// NewShutdownCallback makes no callback: the command that would use it is not registered.
func NewShutdownCallback(logrus.FieldLogger, ShutdownCallbackDef) ShutdownCallback { return nil }
