// Package oidc stands in for the sign-in of labkit's usage events.
package oidc

// Option of a Source.
type Option func(*Source)

// Source gives no tokens.
type Source struct{}

// WithSkipIfUnsupportedCloud is accepted and not used.
func WithSkipIfUnsupportedCloud(bool) Option { return nil }

// NewSource makes a source that gives no tokens.
func NewSource(...Option) *Source { return &Source{} }
