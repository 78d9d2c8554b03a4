"""The commands ``hbpr tune``, ``study``, ``space`` and ``simulate``."""
