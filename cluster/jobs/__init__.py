"""Studies as jobs of a Ray cluster, through the address of its dashboard."""
