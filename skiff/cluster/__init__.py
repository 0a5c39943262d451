"""A whole cluster on this machine: what `skiff up`, `down`, `status`, `image` and `node` do.

Processes are started and watched by a small supervisor (supervisor.py, standard library only). Everything they keep
lies under one state directory (layout.py). No component imports this package.
"""
