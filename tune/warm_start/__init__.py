"""What earlier studies teach a new one: points to start with, and trials that it knows."""
