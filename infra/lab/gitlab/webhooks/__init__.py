"""Webhooks: what happens in a project is told to the addresses that its hooks name.

`event` notices what happens, `payload` puts it into GitLab's words, `delivery` sends it; `part` puts them together.
"""
