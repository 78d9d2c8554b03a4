"""The winner of a study: chosen, repeated, refitted, scored, explained."""
