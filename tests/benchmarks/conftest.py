"""Benchmarks are programs: pytest neither collects nor imports them."""

collect_ignore_glob = ["*.py", "sides/*.py"]
