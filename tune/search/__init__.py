"""What draws the settings of the next trial."""
