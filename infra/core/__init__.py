"""Pure ground that everything stands on: errors, settings, names, secrets, findings. No network, no processes."""
