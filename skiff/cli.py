"""`skiff`: what a person types first.

Imports are local to the commands: `skiff --help` and the daemons load only what they use.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from skiff.cluster.components import MODULES, PROCESSES
from skiff.cluster.layout import DEFAULT_STATE_DIR, Layout
from skiff.cluster.problem import EXIT_FAILED, Problem

OPENSSL_CONF = Path(__file__).parent / "wire" / "openssl.cnf"


def main(argv: Sequence[str] | None = None) -> None:
    """Runs one command and exits with its code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words and (words[0] in MODULES or words[0] in PROCESSES):
        os.environ.setdefault("OPENSSL_CONF", str(OPENSSL_CONF))  # it is read when `ssl` is imported
        from skiff.cluster.daemon import run_daemon

        with told():
            sys.exit(run_daemon(words[0], words[1:]))
    if words and words[0] == "kubectl":
        words = ["kubectl", "--", *words[1:]]  # everything after it is kubectl's own
    if words[:1] in ([], ["help"]):
        words = [*words[1:], "--help"]
    args = parser().parse_args(words)
    try:
        with told():
            sys.exit(args.command(args) or 0)
    except PermissionError as err:
        root = os.geteuid() == 0
        todo = "choose another --state-dir" if root else f"sudo skiff {' '.join(words)}"
        fail(Problem(f"{err.filename} cannot be used", f"{err.strerror}{'' if root else ': you are not root'}", todo))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_FAILED)
    except OSError as err:
        if not err.filename:
            raise
        fail(Problem(f"{err.filename} cannot be used", err.strerror or "", "look at it, or choose another --state-dir"))


def fail(problem: Problem) -> NoReturn:
    print(problem, file=sys.stderr)
    sys.exit(problem.code)


@contextmanager
def told() -> Iterator[None]:
    """A problem in the body becomes its message and its exit code."""
    try:
        yield
    except Problem as problem:
        fail(problem)


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="skiff", description="Kubernetes v1.36 on this machine.")
    top.add_argument("--version", action="version", version=_version())
    commands = top.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _up(_command(commands, "up", "start the cluster and wait until it is ready", up))
    down_ = _command(commands, "down", "stop the cluster", down)
    down_.add_argument("--purge", action="store_true", help="also remove all that it kept; nothing is left behind")
    _command(commands, "status", "say what runs, and how well", status)
    image = _command(commands, "image", "load and build images", None).add_subparsers(required=True, metavar="COMMAND")
    _image(image)
    config = _command(commands, "kubeconfig", "print or merge the administrator's kubeconfig", kubeconfig)
    choice = config.add_mutually_exclusive_group()
    choice.add_argument("--path", action="store_true", help="print its path instead")
    choice.add_argument("--merge", action="store_true", help="merge it into your own (~/.kube/config or $KUBECONFIG)")
    kubectl_ = _command(commands, "kubectl", "run kubectl against this cluster", kubectl)
    kubectl_.add_argument("words", nargs="*", metavar="ARGUMENT")
    components = ", ".join(dict.fromkeys([*MODULES, *PROCESSES]))
    top.epilog = f"Each component also runs alone, with upstream's flag names: {components} (skiff COMPONENT --help)."
    return top


def _version() -> str:
    import skiff

    return f"skiff {skiff.__version__} (Kubernetes {skiff.KUBERNETES_VERSION})"


def _command(commands, name: str, what: str, run) -> argparse.ArgumentParser:  # type: ignore[no-untyped-def]
    p: argparse.ArgumentParser = commands.add_parser(name, help=what, description=what[0].upper() + what[1:] + ".")
    where = os.environ.get("SKIFF_STATE_DIR", DEFAULT_STATE_DIR)
    p.add_argument("--state-dir", default=where, type=Path, help=f"where the cluster keeps its state ({where})")
    p.set_defaults(command=run)
    return p


def _up(p: argparse.ArgumentParser) -> None:
    p.add_argument("--demo", action="store_true", help="then deploy a small web application and show it at work")
    p.add_argument("--timeout", type=float, default=60, metavar="SECONDS", help="how long to wait for readiness (60)")
    p.add_argument("--node-name", help="the node's name (the host name)")
    p.add_argument("--secure-port", type=int, help="the API server's port (6443)")
    p.add_argument("--pod-cidr", help="the pods' addresses (10.244.0.0/16)")
    p.add_argument("--cgroup-root", help="the parent of all pods' cgroups (/skiff)")


def _image(commands) -> None:  # type: ignore[no-untyped-def]
    p = _command(commands, "load", "load image archives (docker save, OCI) into the cluster", image_load)
    p.add_argument("file", nargs="+", help='an archive; "-" reads standard input')
    p = _command(commands, "build", "build a Dockerfile into the cluster", image_build)
    p.add_argument("dir", help="the build context")
    p.add_argument("-t", "--tag", action="append", help="the image's name (the directory's name); may be repeated")
    p.add_argument("-f", "--file", default="", help="the Dockerfile (DIR/Dockerfile)")
    p.add_argument("--build-arg", action="append", default=[], metavar="NAME=VALUE")
    _command(commands, "list", "list the images in the cluster", image_list)


def up(args: argparse.Namespace) -> int:
    from skiff.cluster.up import up as start

    chosen = {
        k: v for k in ("node_name", "secure_port", "pod_cidr", "cgroup_root") if (v := getattr(args, k)) is not None
    }
    start(Layout(args.state_dir.absolute()), chosen, timeout=args.timeout)
    if args.demo:
        from skiff.cluster.demo import demo

        demo(Layout(args.state_dir.absolute()))
    return 0


def down(args: argparse.Namespace) -> int:
    from skiff.cluster.down import down as stop

    stop(Layout(args.state_dir.absolute()), purge=args.purge)
    return 0


def status(args: argparse.Namespace) -> int:
    from skiff.cluster.status import status as show

    return show(Layout(args.state_dir.absolute()))


def image_load(args: argparse.Namespace) -> int:
    from skiff.cluster.image import load

    for reference in load(Layout(args.state_dir.absolute()), args.file):
        print(reference)
    return 0


def image_build(args: argparse.Namespace) -> int:
    from skiff.cluster.image import build

    tags = args.tag or [Path(args.dir).resolve().name.lower()]
    layout = Layout(args.state_dir.absolute())
    for reference in build(layout, args.dir, tags=tags, file=args.file, build_args=args.build_arg):
        print(reference)
    return 0


def image_list(args: argparse.Namespace) -> int:
    from skiff.cluster.image import names

    for name in sorted(n for n in names(Layout(args.state_dir.absolute())) if not n.startswith("sha256:")):
        print(name)
    return 0


def kubeconfig(args: argparse.Namespace) -> int:
    from skiff.cluster import kubeconfig as config

    layout = Layout(args.state_dir.absolute())
    path = config.admin(layout)
    if args.path:
        print(path)
    elif args.merge:
        target = config.merge(path)
        print(f"Context skiff is now the current one in {target}.")
    else:
        sys.stdout.write(path.read_text())
    return 0


def kubectl(args: argparse.Namespace) -> int:
    from skiff.cluster import kubeconfig as config

    config.exec_kubectl(Layout(args.state_dir.absolute()), args.words)
    return 0


if __name__ == "__main__":
    main()
