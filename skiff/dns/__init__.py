"""Cluster DNS: names of Services and pods from the API, everything else from the node's own servers.

wire.py: messages as bytes. records.py: objects become small records at the cache's border. answer.py: the specification,
pure. forward.py, server.py: sockets. dns.py: the parts together."""
