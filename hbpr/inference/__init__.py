"""What a trained model answers: lists, neighbours, and who and what is new."""
