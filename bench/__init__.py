"""Programs that measure: `python -m bench` runs them all against a fresh cluster and prints one table."""
