"""The `hbpr` command."""
