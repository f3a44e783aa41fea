// Package metrics stands in for the metrics of labkit's usage events.
package metrics

// CollectorOption of a collector.
type CollectorOption func()

// WithCollectorNamespace is accepted and not used.
func WithCollectorNamespace(string) CollectorOption { return nil }

// WithCollectorBatchDeliveryDurationBuckets is accepted and not used.
func WithCollectorBatchDeliveryDurationBuckets([]float64) CollectorOption { return nil }
