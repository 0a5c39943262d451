"""Deployments: rolling a pod template out over ReplicaSets. `sizes` decides how large each set is, `revision` which set
is which, `status` what is reported; `sync` writes, `controller` says in which order."""
