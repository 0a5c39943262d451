"""Image names and Dockerfiles, as far as `skiff image` reads them."""

import bz2
import gzip
import lzma
from collections.abc import Callable
from io import FileIO
from pathlib import Path

import pytest

from skiff.cluster.image import base_images, normalise, unpacked
from skiff.cluster.problem import Problem

NAMES = [
    pytest.param("web", "docker.io/library/web:latest", id="a bare name is an official image's"),
    pytest.param("me/web:1", "docker.io/me/web:1", id="a user's image is on Docker Hub"),
    pytest.param("localhost/web", "localhost/web:latest", id="localhost is a registry"),
    pytest.param("127.0.0.1:5000/web:2", "127.0.0.1:5000/web:2", id="a port makes a registry"),
    pytest.param("ghcr.io/a/b@sha256:00", "ghcr.io/a/b@sha256:00", id="a digest stays"),
]


@pytest.mark.parametrize("name, full", NAMES)
def test_normalise(name: str, full: str) -> None:
    assert normalise(name) == full


DOCKERFILES = [
    pytest.param("FROM scratch\nCOPY a /", [], id="scratch is no image"),
    pytest.param("from --platform=linux/amd64 busybox\nRUN x", ["busybox"], id="flags and case do not matter"),
    pytest.param("ARG V=1.2\nFROM base:${V}", ["base:1.2"], id="arguments are filled in"),
    pytest.param("FROM go AS build\nFROM build\nFROM run", ["go", "run"], id="a stage is no image"),
    pytest.param("FROM go AS a\nCOPY --from=a b c\nCOPY --from=0 b c\nCOPY --from=x:1 b c", ["go", "x:1"], id="copies"),
    pytest.param("", [], id="an empty file names none"),
]


@pytest.mark.parametrize("text, images", DOCKERFILES)
def test_base_images(text: str, images: list[str]) -> None:
    assert base_images(text) == images


def test_arguments_of_the_build_win() -> None:
    assert base_images("ARG V=1\nFROM base:$V", ["V=2", "W=3"]) == ["base:2"]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_compressed_archives_are_unpacked(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(pack(b"an archive" * 10_000))
    with open(tmp_path / "a", "rb") as file, unpacked(file) as tar:
        # As a program that is given the descriptor reads it, from where that stands.
        assert FileIO(tar.fileno(), closefd=False).readall() == b"an archive" * 10_000


def test_a_broken_archive_is_told(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(gzip.compress(b"an archive" * 10_000)[:-20])
    with open(tmp_path / "a", "rb") as file, pytest.raises(Problem, match="cannot be unpacked"), unpacked(file):
        pass
