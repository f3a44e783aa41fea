"""The `forgeline` command: parses, calls, shows. The only place that prints and exits."""
