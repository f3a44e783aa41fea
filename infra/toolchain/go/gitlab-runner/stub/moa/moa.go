// Package moa stands in for the expression language of job inputs, which this build does not evaluate.
package moa

import (
	"errors"

	"gitlab.com/gitlab-org/moa/ast"
)

var errAbsent = errors.New("job inputs are not in Forgeline's build of the runner")

// ParseTemplate refuses: a job that has inputs fails with this message.
func ParseTemplate(string) (ast.Expr, error) { return nil, errAbsent }

// EscapeTemplate returns the text as it is.
func EscapeTemplate(text string) string { return text }
