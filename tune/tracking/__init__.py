"""Records of a study on their way to MLflow, from the driver alone."""
