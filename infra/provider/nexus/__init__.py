"""Kinds of resources of Sonatype Nexus Repository."""
