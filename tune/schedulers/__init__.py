"""What stops trials early: one file a kind of rule."""
