"""MLflow: opening it, writing runs, keeping trained models; and what is known of a study."""
