"""CRI v1 over gRPC: containerd, CRI-O and every other runtime behind one socket. Implements runtime.Runtime.

Messages are tables (messages.py) for skiff.wire.protobuf; encode.py converts, client.py calls, events.py listens.
"""

import os

# The kubelet starts programs; gRPC's handlers around fork would only print warnings. Read when grpc is first imported.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from skiff.kubelet.cri.client import CRIRuntime

__all__ = ["CRIRuntime"]
