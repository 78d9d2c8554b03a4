"""The search as a library: `hbpr.search` and `hbpr.Study`, which the commands call too."""
