"""The servers, one description a module. A place says what differs between a process and a container."""
