// Package schema stands in for the schema of CI steps (`run:`), which this build does not run.
package schema

// StepInputs of a step.
type StepInputs map[string]any

// Step of a `run:` list.
type Step struct {
	Name   *string    `json:"name,omitempty" yaml:"name,omitempty"`
	Step   any        `json:"step,omitempty" yaml:"step,omitempty"`
	Func   any        `json:"func,omitempty" yaml:"func,omitempty"`
	Script *string    `json:"script,omitempty" yaml:"script,omitempty"`
	Inputs StepInputs `json:"inputs,omitempty" yaml:"inputs,omitempty"`
	Run    []Step     `json:"run,omitempty" yaml:"run,omitempty"`
}
