"""What a study will cost, and how other searches would have done on recorded curves."""
