"""Lists for many users, here or on a cluster."""
