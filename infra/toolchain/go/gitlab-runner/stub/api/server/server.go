// Package server stands in for the gRPC server of upstream's `wrapper` command, which this build does not register.
package server

import (
	"net"

	"github.com/sirupsen/logrus"
)

// Server does not listen.
type Server struct{}

// New makes a server that does not listen.
func New(logrus.FieldLogger, any) *Server { return &Server{} }

// Listen closes the listener.
func (*Server) Listen(l net.Listener) { _ = l.Close() }

// Stop does nothing.
func (*Server) Stop() {}
