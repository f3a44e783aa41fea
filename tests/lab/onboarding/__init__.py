"""Services that come and go, on a stack of their own that begins with one: each test goes on from the last."""
