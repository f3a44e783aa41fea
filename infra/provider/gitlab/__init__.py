"""Kinds of resources of GitLab."""
