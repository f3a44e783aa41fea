"""Kinds of resources of OpenBao (and of Vault, whose API it speaks)."""
