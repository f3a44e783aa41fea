// Package snowplow stands in for labkit's usage events: this build sends none.
package snowplow

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"gitlab.com/gitlab-org/labkit/v2/events/snowplow/metrics"
	"gitlab.com/gitlab-org/labkit/v2/events/snowplow/oidc"
)

var errAbsent = errors.New("usage events are not in Forgeline's build of the runner")

// SendResult of one request.
type SendResult struct {
	EventCount int
	StatusCode int
	Err        error
}

// SendCallback is told of sent and unsent events.
type SendCallback func(successes []SendResult, failures []SendResult)

// Emitter sends nothing.
type Emitter struct{}

// Tracker tracks nothing.
type Tracker struct{}

// EmitterOption of an Emitter.
type EmitterOption func(*Emitter)

// BillingEventRequiredInput of an event.
type BillingEventRequiredInput struct {
	Category, EventType, Realm, UnitOfMeasure string
	Quantity                                  float64
}

// BillingEventOptionalInput of an event.
type BillingEventOptionalInput struct {
	Subject, DeploymentType, InstanceID, UniqueInstanceID string
	Metadata                                              map[string]any
	ProjectID, NamespaceID, RootNamespaceID               int64
	OrganizationID                                        int64
}

// WithCallback is accepted and not used.
func WithCallback(SendCallback) EmitterOption { return nil }

// WithTokenSource is accepted and not used.
func WithTokenSource(*oidc.Source) EmitterOption { return nil }

// WithMetricsCollectorOptions is accepted and not used.
func WithMetricsCollectorOptions(...metrics.CollectorOption) EmitterOption { return nil }

// NewEmitter refuses: a configuration that asks for usage events is told so.
func NewEmitter(string, ...EmitterOption) (*Emitter, error) { return nil, errAbsent }

// Collector has no metrics.
func (*Emitter) Collector() prometheus.Collector { return prometheus.NewRegistry() }

// NewTracker refuses.
func NewTracker(string, *Emitter) (*Tracker, error) { return nil, errAbsent }

// TrackBillingEventWithOptionalInput refuses.
func (*Tracker) TrackBillingEventWithOptionalInput(BillingEventRequiredInput, BillingEventOptionalInput) error {
	return errAbsent
}

// Stop does nothing.
func (*Tracker) Stop() {}
