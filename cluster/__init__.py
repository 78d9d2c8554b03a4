"""What runs on a Ray cluster or answers over HTTP; may import `tune` and `hbpr`."""
