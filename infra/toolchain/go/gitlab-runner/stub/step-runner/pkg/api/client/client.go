// Package client stands in for the step runner's client types.
package client

import "time"

// State of a run.
type State int

// The states that upstream tells apart.
const (
	StateUnspecified State = iota
	StateSuccess
	StateCancelled
)

func (s State) String() string { return [...]string{"unspecified", "success", "cancelled"}[s] }

// ErrorKind of a failed run.
type ErrorKind int

// The kinds that upstream tells apart.
const (
	ErrorUnknown ErrorKind = iota
	ErrorInternal
	ErrorStepFailure
	ErrorCancelled
	ErrorTimeout
)

// Status of a run.
type Status struct {
	State     State
	ErrorKind ErrorKind
	Message   string
}

// Variable of a job.
type Variable struct {
	Key, Value   string
	File, Masked bool
}

// RunRequest asks for a run.
type RunRequest struct {
	Id, WorkDir, BuildDir, Steps string
	Timeout                      *time.Duration
	Env                          map[string]string
	Variables                    []Variable
}
