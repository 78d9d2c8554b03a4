"""The Ray underneath, and recommendations over HTTP; knows `hbpr`, and nothing of `tune`."""
