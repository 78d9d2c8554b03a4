"""Lists for many users, into a file: in parts that can be gone on with, and whole at the end."""
