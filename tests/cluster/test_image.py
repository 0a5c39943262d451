"""Image names and Dockerfiles, as far as `skiff image` reads them."""

import pytest

from skiff.cluster.image import base_images, normalise

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
    pytest.param("", [], id="an empty file names none"),
]


@pytest.mark.parametrize("text, images", DOCKERFILES)
def test_base_images(text: str, images: list[str]) -> None:
    assert base_images(text) == images
