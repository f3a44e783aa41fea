"""Kinds of a container engine: networks, volumes, images, containers."""
