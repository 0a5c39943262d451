"""The configuration of a containerd of our own: own root, state and socket, nothing that a node does not need."""

import json
import os

SANDBOX_IMAGE = "registry.skiff.local/pause:1"

UNUSED_PLUGINS = (
    "io.containerd.snapshotter.v1.aufs",
    "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.zfs",
    "io.containerd.internal.v1.opt",
    "io.containerd.internal.v1.restart",
    "io.containerd.internal.v1.tracing",
    "io.containerd.tracing.processor.v1.otlp",
    "io.containerd.monitor.v1.cgroups",
)
"""Snapshotters that are not used, what makes /opt/containerd for `ctr install`, what restarts containers by itself, and
what collects figures that nobody reads."""


def config_text(
    *,
    root: str | os.PathLike[str],
    state: str | os.PathLike[str],
    socket: str | os.PathLike[str],
    cni_conf_dir: str | os.PathLike[str],
    cni_bin_dir: str | os.PathLike[str],
    sandbox_image: str = SANDBOX_IMAGE,
    snapshotter: str = "overlayfs",
    registry_hosts: str | os.PathLike[str] = "",
) -> str:
    """config.toml. registry_hosts: a directory of hosts.toml files per registry (mirrors, plain HTTP), "" for none."""

    def text(value: str | os.PathLike[str]) -> str:
        return json.dumps(os.fspath(value))  # a TOML basic string is escaped as JSON's

    registry = ""
    if registry_hosts:
        registry = f'\n    [plugins."io.containerd.grpc.v1.cri".registry]\n      config_path = {text(registry_hosts)}\n'
    return f"""\
version = 2
root = {text(root)}
state = {text(state)}
oom_score = 0
disabled_plugins = {json.dumps(UNUSED_PLUGINS)}

[grpc]
  address = {text(socket)}

[ttrpc]
  address = {text(os.fspath(socket) + ".ttrpc")}

[debug]
  level = "warn"

[plugins]
  [plugins."io.containerd.grpc.v1.cri"]
    sandbox_image = {text(sandbox_image)}
    restrict_oom_score_adj = true
    stats_collect_period = 60
    tolerate_missing_hugetlb_controller = true
    disable_hugetlb_controller = true
    enable_unprivileged_ports = true
    enable_unprivileged_icmp = true

    [plugins."io.containerd.grpc.v1.cri".cni]
      bin_dir = {text(cni_bin_dir)}
      conf_dir = {text(cni_conf_dir)}

    [plugins."io.containerd.grpc.v1.cri".containerd]
      snapshotter = {text(snapshotter)}
      default_runtime_name = "runc"

      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
        runtime_type = "io.containerd.runc.v2"

        [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
          Root = {text(os.path.join(state, "runc"))}
{registry}"""
