"""What leads from the API server to nodes, pods and services: logs, exec, attach, port-forward, proxies.

`handlers.py` holds the verbs, `backends.py` finds and reaches the other side, `proxying.py` passes HTTP and upgrades
through, `translation.py` speaks SPDY to kubelets for clients that speak WebSocket.
"""
