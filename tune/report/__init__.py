"""What a person reads in the terminal: progress while a study runs, and its result."""
