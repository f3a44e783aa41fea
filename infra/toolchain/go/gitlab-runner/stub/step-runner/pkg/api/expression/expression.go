// Package expression stands in for the evaluation of job inputs.
package expression

import (
	"errors"

	"gitlab.com/gitlab-org/moa/ast"
	"gitlab.com/gitlab-org/moa/value"
)

// Sensitive marks a value that must not be shown.
const Sensitive uint16 = 1

// Input of a job.
type Input struct {
	Key   string
	Value value.Value
}

// Evaluator evaluates nothing.
type Evaluator struct{}

// NewEvaluator makes an evaluator that refuses when it is used: every job makes one, few use it.
func NewEvaluator(value.Value) (*Evaluator, error) { return &Evaluator{}, nil }

// Eval refuses.
func (*Evaluator) Eval(string, ast.Expr) (value.Value, error) {
	return value.Null(), errors.New("job inputs are not in Forgeline's build of the runner")
}
