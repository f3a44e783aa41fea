// Package ast stands in for the syntax tree of job inputs' expressions.
package ast

// Expr is an expression; none is ever made.
type Expr interface{ Walk(v Visitor) (Expr, error) }

// Visitor of expressions.
type Visitor interface {
	Enter(expr Expr) (Visitor, error)
	Exit(expr Expr) (Expr, error)
}

// Template is text with expressions in it.
type Template struct{}

// Walk visits nothing.
func (t *Template) Walk(Visitor) (Expr, error) { return t, nil }
