"""Typed classes of the provider's resources, generated from the kinds."""
