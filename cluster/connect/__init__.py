"""The Ray that a study runs on: started or joined, and checked."""
