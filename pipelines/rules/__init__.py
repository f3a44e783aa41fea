"""What must be true of a pipeline: each rule is one named function, listed by hand in `registry`."""
