"""What users are told: conditions, one file a kind."""
