"""Volumes: `payload` decides what each should contain, `manager` fetches and sets up, `atomic` and `mounts` do the work on
a real machine."""
