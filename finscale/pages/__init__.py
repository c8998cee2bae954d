"""Pages: all that draws or writes for people."""
