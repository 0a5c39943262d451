"""Skiff: Kubernetes v1.36 in Python. One folder per component, under the name Kubernetes gives it."""

__version__ = "0.1.0"
KUBERNETES_VERSION = "v1.36.0"
