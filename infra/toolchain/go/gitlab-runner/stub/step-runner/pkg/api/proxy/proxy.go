// Package proxy stands in for the step runner's proxy command, which this build does not register.
package proxy

import (
	"errors"
	"io"
	"net"
)

// Proxy refuses.
func Proxy(io.Reader, io.Writer, net.Conn) error {
	return errors.New("CI steps (run:) are not in Forgeline's build of the runner")
}
