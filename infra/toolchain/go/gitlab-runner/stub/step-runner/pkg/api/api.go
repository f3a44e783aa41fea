// Package api stands in for the addresses of a step runner's socket.
package api

import (
	"net"
	"os"
	"path/filepath"
)

// SocketAddr is the address of the socket at path.
func SocketAddr(path string) *net.UnixAddr { return &net.UnixAddr{Name: path, Net: "unix"} }

// DefaultSocketPath is where a step runner would listen.
func DefaultSocketPath() string { return filepath.Join(os.TempDir(), "step-runner.sock") }
