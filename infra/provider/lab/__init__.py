"""Kinds of resources of the lab: servers as processes of this machine."""
