"""The three layers of stacks, foundation, platform and service, and the engine that brings them about."""
