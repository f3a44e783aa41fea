// Package value stands in for the values of job inputs: it reads them as JSON and knows their kind, no more.
package value

import (
	"bytes"
	"encoding/json"
	"errors"
	"iter"
)

// Errors that an access of an object can give.
var (
	ErrAttributeNotFound = errors.New("attribute not found")
	ErrInvalidKey        = errors.New("invalid key")
)

// Kind of a value, by its JSON type.
type Kind string

// The kinds that there are.
const (
	NullKind   Kind = "null"
	StringKind Kind = "string"
	NumberKind Kind = "number"
	BoolKind   Kind = "bool"
	ArrayKind  Kind = "array"
	ObjectKind Kind = "object"
)

// Value as it came in.
type Value struct {
	kind Kind
	text string
}

// Mapper is an object's interface.
type Mapper interface {
	All() iter.Seq2[Value, Value]
	Attr(name string) (Value, error)
	Get(key Value) (Value, error)
	Keys() iter.Seq[Value]
	Len() int
	Values() iter.Seq[Value]
	WithMarks(marks uint16) Mapper
}

// Null is the null value.
func Null() Value { return Value{kind: NullKind, text: "null"} }

// String makes a string.
func String(text string) Value { return Value{kind: StringKind, text: text} }

// Object makes an object of which nothing is kept.
func Object(Mapper) Value { return Value{kind: ObjectKind} }

// Kind of the value; the zero Value is null.
func (v Value) Kind() Kind {
	if v.kind == "" {
		return NullKind
	}
	return v.kind
}

// String is the text of a string, and the JSON of anything else.
func (v Value) String() string { return v.text }

// HasMarks is false: no marks are kept.
func (Value) HasMarks(uint16) bool { return false }

// WithMarks returns the value as it is.
func (v Value) WithMarks(uint16) Value { return v }

// UnmarshalJSON reads the value.
func (v *Value) UnmarshalJSON(data []byte) error {
	data = bytes.TrimSpace(data)
	*v = Value{kind: NumberKind, text: string(data)}
	switch data[0] {
	case 'n':
		v.kind = NullKind
	case 't', 'f':
		v.kind = BoolKind
	case '[':
		v.kind = ArrayKind
	case '{':
		v.kind = ObjectKind
	case '"':
		v.kind = StringKind
		return json.Unmarshal(data, &v.text)
	}
	return nil
}
