"""hbpr."""
