"""Images made on the spot, without a registry: Debian's static busybox with a link for each applet, and the image that holds
a pod's namespaces. OCI archives, byte for byte the same for the same busybox; `ctr -n k8s.io images import` takes them."""

import hashlib
import io
import json
import os
import platform
import struct
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

BUSYBOX = "/bin/busybox"

# rt_sigaction(SIGCHLD, SIG_IGN): the kernel then reaps children by itself, which matters where a pod shares its process
# namespace. After it, pause() for ever.
_PAUSE_X86_64 = bytes.fromhex(
    "b80d000000" "bf11000000" "488d3517000000" "31d2" "41ba08000000" "0f05" "b822000000" "0f05" "ebf7" "00000000"
) + struct.pack("<QQQQ", 1, 0, 0, 0)  # fmt: skip
_BASE = 0x400000


def pause_program() -> bytes:
    """A static ELF executable of about 200 bytes, x86-64: sleeps until it is killed."""
    size = 64 + 56 + len(_PAUSE_X86_64)
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, _BASE + 120, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x1000)
    return header + segment + _PAUSE_X86_64


def busybox_archive(path: str | os.PathLike[str], name: str, *, sandbox: bool = False) -> None:
    """Writes an archive with one image `name`. sandbox: it only sleeps; otherwise it is a small system with a shell.

    Raises FileNotFoundError when there is no static busybox.
    """
    if sandbox:
        layer, command = _sandbox_layer()
    else:
        layer, command = _system_layer(), ["sh"]
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    config: dict[str, object] = {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]}
    config["Entrypoint" if sandbox else "Cmd"] = command
    image = {
        "created": "1970-01-01T00:00:00Z",
        "architecture": architecture,
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "skiff"}],
    }
    _write_oci(path, name, layer, _json(image))


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _sandbox_layer() -> tuple[bytes, list[str]]:
    if platform.machine() == "x86_64":
        return _tar({"pause": (pause_program(), 0o755)}, {}), ["/pause"]
    busybox = Path(BUSYBOX).read_bytes()
    return _tar({"bin/busybox": (busybox, 0o755)}, {}), ["/bin/busybox", "sleep", "2147483647"]


def _system_layer() -> bytes:
    files = {
        "bin/busybox": (Path(BUSYBOX).read_bytes(), 0o755),
        "etc/passwd": (b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n", 0o644),
        "etc/group": (b"root:x:0:\nnogroup:x:65534:\n", 0o644),
    }
    listed = subprocess.run([BUSYBOX, "--list-full"], capture_output=True, text=True, check=True).stdout
    paths = sorted({line.strip().lstrip("/") for line in listed.splitlines() if line.strip()} - {"bin/busybox"})
    return _tar(files, dict.fromkeys(paths, "/bin/busybox"))


DIRECTORIES = {
    "bin": 0o755, "dev": 0o755, "etc": 0o755, "home": 0o755, "proc": 0o555, "root": 0o700, "sbin": 0o755, "sys": 0o555,
    "tmp": 0o1777, "usr": 0o755, "usr/bin": 0o755, "usr/sbin": 0o755, "var": 0o755, "var/run": 0o755, "var/www": 0o755,
}  # fmt: skip


def _tar(files: Mapping[str, tuple[bytes, int]], links: Mapping[str, str]) -> bytes:
    """Directories, files, symlinks, each sorted; owner root, time 0."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, mode in sorted(DIRECTORIES.items()):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            tar.addfile(entry)
        for name, (data, mode) in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), mode
            tar.addfile(entry, io.BytesIO(data))
        for name, target in sorted(links.items()):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, target, 0o777
            tar.addfile(entry)
    return out.getvalue()


def _write_oci(path: str | os.PathLike[str], name: str, layer: bytes, config: bytes) -> None:
    def described(data: bytes, media_type: str) -> dict[str, object]:
        return {"mediaType": media_type, "digest": _digest(data), "size": len(data)}

    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": described(config, "application/vnd.oci.image.config.v1+json"),
            "layers": [described(layer, "application/vnd.oci.image.layer.v1.tar")],
        }
    )
    entry = described(manifest, "application/vnd.oci.image.manifest.v1+json")
    tag = name.rpartition(":")[2] if ":" in name.rpartition("/")[2] else "latest"
    entry["annotations"] = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": tag}
    blobs = {f"blobs/sha256/{hashlib.sha256(d).hexdigest()}": d for d in (manifest, config, layer)}
    index = _json({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [entry]})
    members = {"oci-layout": _json({"imageLayoutVersion": "1.0.0"}), "index.json": index, **blobs}
    with tarfile.open(path, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for member, data in members.items():
            info = tarfile.TarInfo(member)
            info.size, info.mode = len(data), 0o644
            tar.addfile(info, io.BytesIO(data))
