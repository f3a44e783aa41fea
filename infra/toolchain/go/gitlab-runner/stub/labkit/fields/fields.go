// Package fields stands in for labkit's table of log field names: no field has been renamed here.
package fields

// Names of log fields that the runner writes.
const (
	DurationS      = "duration_s"
	HTTPStatusCode = "http_status_code"
)

// Deprecation says what a field is called from now on.
type Deprecation struct{ Standard string }

// Deprecated maps an old name to its Deprecation.
var Deprecated = map[string]Deprecation{}

// VariantVersion maps a name to the schema version that brought it.
var VariantVersion = map[string]int{}
