"""MLflow: opening it, writing runs, keeping trained models."""
