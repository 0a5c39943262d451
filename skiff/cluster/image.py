"""Images without a registry: load archives into the node's containerd, build Dockerfiles with buildah.

Names are normalised as the container runtimes do (`web` is docker.io/library/web:latest), so that a Pod finds under
`image: web` what was built as `web`. A base image named in FROM is taken from the cluster when it is there.
"""

import bz2
import gzip
import io
import json
import lzma
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from skiff.cluster.layout import Layout
from skiff.cluster.problem import EXIT_MISSING, Problem, need_root, no_cluster
from skiff.cluster.supervisor import read_pid

COMPRESSIONS: dict[bytes, Callable[[IO[bytes]], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
}
"""The first bytes of a compressed file → what reads it."""
NAMESPACE = "k8s.io"
"""The containerd namespace in which its CRI plugin looks."""


def normalise(name: str) -> str:
    """The full reference: registry, `library/` for Docker Hub's official images, tag `latest`.

    Source: distribution/reference, "familiar" names.
    """
    first, slash, _rest = name.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost"):
        name = f"docker.io/{name}" if slash else f"docker.io/library/{name}"
    last = name.rpartition("/")[2]
    return name if "@" in last or ":" in last else f"{name}:latest"


def base_images(dockerfile: str, build_args: Sequence[str] = ()) -> list[str]:
    """The images that FROM and COPY --from name, stages and `scratch` left out, ARGs filled in. build_args: NAME=VALUE."""
    given = dict(a.split("=", 1) for a in build_args if "=" in a)
    args: dict[str, str] = {}
    stages: set[str] = set()
    found = []
    for line in dockerfile.splitlines():
        words = line.split()
        if len(words) < 2:
            continue
        if words[0].upper() == "ARG":
            name, _, value = words[1].partition("=")
            args[name] = given.get(name, value.strip("\"'"))
        if words[0].upper() == "COPY":
            sources = [w.removeprefix("--from=") for w in words[1:] if w.startswith("--from=")]
            found += [s for s in sources if s not in stages and not s.isdigit()]
        if words[0].upper() != "FROM":
            continue
        words = [w for w in words[1:] if not w.startswith("--")]
        image = re.sub(r"\$\{?(\w+)\}?", lambda m: args.get(m[1], ""), words[0])
        if image and image != "scratch" and image not in stages:
            found.append(image)
        if len(words) > 2 and words[1].upper() == "AS":
            stages.add(words[2])
    return found


def ctr(layout: Layout, *args: str, failing: str = "containerd refused", stdin: IO[bytes] | None = None) -> str:
    """Runs containerd's own client against the cluster's containerd; its output. failing: what then did not work;
    stdin: a file to read."""
    need_root("image", "containerd's socket is root's")
    if not layout.containerd_socket.exists() or not read_pid(layout.run / "containerd.pid"):
        raise no_cluster(layout.root)
    command = ["ctr", "--address", str(layout.containerd_socket), "--namespace", NAMESPACE, *args]
    return _run(command, failing, stdin=stdin)


def names(layout: Layout) -> set[str]:
    """The full references of the images in the cluster."""
    return set(ctr(layout, "images", "list", "--quiet").split())


def load(layout: Layout, archives: Iterable[str]) -> list[str]:
    """Imports docker or OCI archives, compressed ones too ("-": standard input); the references they hold. When one of
    the files is not there, none is imported."""
    archives = list(archives)
    for archive in archives:
        if archive != "-" and not Path(archive).is_file():
            raise Problem(f"no image archive at {archive}", todo="make one: docker save -o FILE IMAGE")
    loaded: list[str] = []
    for archive in archives:
        with sys.stdin.buffer if archive == "-" else open(archive, "rb") as file, unpacked(file) as tar:
            out = ctr(layout, "images", "import", "-", failing=f"{archive} is no image archive", stdin=tar)
        loaded += re.findall(r"^unpacking (\S+)", out, re.MULTILINE)
    return loaded


@contextmanager
def unpacked(file: IO[bytes]) -> Iterator[IO[bytes]]:
    """The file, or, when it is compressed (gzip, bzip2, xz), another one with what is in it. Raises Problem."""
    head = file.peek(6) if isinstance(file, io.BufferedReader) else b""
    opened = next((opener for magic, opener in COMPRESSIONS.items() if head.startswith(magic)), None)
    if opened is None and file.seekable():
        os.lseek(file.fileno(), file.tell(), os.SEEK_SET)  # whom it is given to does not know of our buffer
        yield file
        return
    with tempfile.TemporaryFile() as plain:
        try:
            shutil.copyfileobj(opened(file) if opened else file, plain)
        except (OSError, EOFError, lzma.LZMAError) as err:
            raise Problem("the archive cannot be unpacked", str(err)) from err
        plain.seek(0)
        yield plain


def build(
    layout: Layout, context: str, *, tags: Sequence[str], file: str = "", build_args: Sequence[str] = ()
) -> list[str]:
    """Builds a Dockerfile with buildah and loads the image under each tag; its full references."""
    if not shutil.which("buildah"):
        raise Problem("cannot build an image", "buildah is not installed", "apt-get install buildah", code=EXIT_MISSING)
    dockerfile = _dockerfile(context, file)
    references = [normalise(tag) for tag in tags]
    with tempfile.TemporaryDirectory(prefix="skiff-build-") as scratch:
        buildah = Buildah(layout, Path(scratch))
        for image in _present(layout, base_images(dockerfile.read_text(), build_args)):
            buildah.take(layout, image)
        args = [word for arg in build_args for word in ("--build-arg", arg)]
        args += [word for reference in references for word in ("--tag", reference)]
        buildah("build", "--isolation", "chroot", "--file", str(dockerfile), *args, context)
        for number, reference in enumerate(references):
            archive = Path(scratch) / f"image-{number}.tar"
            buildah("push", reference, f"docker-archive:{archive}:{reference}", quiet=True)
            load(layout, [str(archive)])
    return references


class Buildah:
    """buildah with its storage under the state directory and Docker Hub as the only unqualified registry."""

    def __init__(self, layout: Layout, scratch: Path):
        self.scratch = scratch
        registries = scratch / "registries.conf"
        registries.write_text('unqualified-search-registries = ["docker.io"]\nshort-name-mode = "permissive"\n')
        policy = scratch / "policy.json"
        policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        self.policy = str(policy)
        own = scratch / "containers.conf"
        own.write_text(f"[network]\nnetwork_config_dir = {json.dumps(str(scratch))}\n")  # or it locks /etc/cni/net.d
        self.env = {**os.environ, "CONTAINERS_REGISTRIES_CONF": str(registries), "CONTAINERS_CONF": str(own)}
        store = layout.root / "buildah"
        self.base = ["buildah", "--root", str(store), "--runroot", str(layout.run / "buildah")]
        self.base += ["--storage-driver", "overlay"]

    def __call__(self, command: str, *args: str, quiet: bool = False) -> None:
        policy = ["--signature-policy", self.policy]
        argv = [*self.base, command, *policy, *args]
        if quiet:
            _run(argv, f"buildah {command} failed", env=self.env)
        elif subprocess.run(argv, env=self.env).returncode:
            raise Problem(f"buildah {command} failed", "see its output above")

    def take(self, layout: Layout, image: str) -> None:
        """Makes an image of the cluster known to buildah."""
        archive = self.scratch / "base.tar"
        ctr(layout, "images", "export", str(archive), image)
        self("pull", f"docker-archive:{archive}", quiet=True)
        archive.unlink()


def _dockerfile(context: str, file: str) -> Path:
    if not Path(context).is_dir():
        raise Problem(
            f"{context} is no directory", todo="name the one that holds what is to be built: skiff image build DIR"
        )
    for candidate in [Path(file)] if file else [Path(context, "Dockerfile"), Path(context, "Containerfile")]:
        if candidate.is_file():
            return candidate
    raise Problem(
        f"no Dockerfile at {file}" if file else f"no Dockerfile in {context}",
        todo="name it: skiff image build --file FILE DIR",
    )


def _present(layout: Layout, wanted: Sequence[str]) -> list[str]:
    have = names(layout)
    return [full for full in map(normalise, wanted) if full in have]


def _run(argv: list[str], what: str, env: dict[str, str] | None = None, stdin: IO[bytes] | None = None) -> str:
    try:
        done = subprocess.run(argv, env=env, stdin=stdin, capture_output=True, text=True)
    except FileNotFoundError as err:
        raise Problem(
            what, f"{argv[0]} is not installed", "make up installs what is missing", code=EXIT_MISSING
        ) from err
    if done.returncode:
        raise Problem(what, done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit {done.returncode}")
    return done.stdout
