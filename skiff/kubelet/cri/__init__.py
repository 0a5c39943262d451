"""CRI v1 over gRPC: containerd, CRI-O and every other runtime behind one socket. Implements runtime.Runtime.

Messages are tables (messages.py) for skiff.wire.protobuf; encode.py converts, client.py calls, events.py listens.
"""

from skiff.kubelet.cri.client import CRIRuntime

__all__ = ["CRIRuntime"]
