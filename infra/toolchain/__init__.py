"""Pinned tools, each from the first of its sources that answers, installed side by side in the user's cache."""
