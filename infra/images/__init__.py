"""Container images made from package mirrors, where no image registry can be reached."""
