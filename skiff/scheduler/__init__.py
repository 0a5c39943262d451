"""The scheduler: finds a node for each pod that has none.

framework.py names the moments of a scheduling cycle, plugins/ has one decision per file, algorithm.py runs a cycle (pure:
it awaits nothing, so the cache cannot change under it), cache.py and queue.py hold what is known and what waits, and
scheduler.py connects them with the API.
"""
