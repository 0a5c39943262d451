"""Bytes on a connection: HTTP/1.1, WebSocket, SPDY/3.1, protobuf. Nothing in here knows what a Pod is."""
