"""One decision per file, under upstream's names; registry.py lists them in the order in which they are asked.

A module holds the plugin's sentences, its class, and the pure predicates that the class turns into a status.
"""
