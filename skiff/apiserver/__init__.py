"""The API server: HTTP in front of the store. A request meets a written-out chain (server.py), is routed by path
(routes.py) to one verb (verbs/), reads from the watch cache (cache.py) and writes through the registry (registry.py).

Nothing here knows a kind by name except where upstream's behaviour does: see verbs/ and subresources/.
"""
