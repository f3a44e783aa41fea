// Package proto stands in for the step runner's protocol; no server is registered.
package proto

import (
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/structpb"
)

// ValueType of an input.
type ValueType int

// The types that upstream's built-in steps use.
const (
	ValueType_string ValueType = iota
	ValueType_boolean
	ValueType_array
)

// Spec of a step.
type Spec struct{ Spec *Spec_Content }

// Spec_Content of a step.
type Spec_Content struct {
	Inputs map[string]*Spec_Content_Input
}

// Spec_Content_Input is one input of a step.
type Spec_Content_Input struct {
	Type      ValueType
	Default   *structpb.Value
	Sensitive bool
}

// GetSpec returns the content.
func (s *Spec) GetSpec() *Spec_Content { return s.Spec }

// GetInputs returns the inputs.
func (s *Spec_Content) GetInputs() map[string]*Spec_Content_Input { return s.Inputs }

// StepRunnerServer serves steps.
type StepRunnerServer any

// RegisterStepRunnerServer registers nothing.
func RegisterStepRunnerServer(grpc.ServiceRegistrar, StepRunnerServer) {}
