"""The lab's servers, one description a module. `tools` maps a tool's name to its program."""
