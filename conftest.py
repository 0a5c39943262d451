"""Loads skiff's own pytest plugin when the package is used from the tree, not installed."""

from importlib.metadata import entry_points

pytest_plugins = [] if entry_points(group="pytest11", name="skiff") else ["skiff.testing.plugin"]
