"""One trial as a worker runs it, and the words of its results."""
