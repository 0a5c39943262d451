"""Kinds whose defaults have to do with metadata say so in their records: patches of metadata alone rely on it."""

import copy
import random

import pytest

from skiff.api.resources.autoscaling import METRICS
from skiff.api.resources.builtin import RESOURCES
from tests.api.protobuf_objects import populated

RECORDS = {(r.gvr.api_version, r.gvr.kind): r for r in RESOURCES}
METADATA = (
    {},
    {"name": "x", "labels": {"a": "b"}},
    {"labels": {}, "annotations": {METRICS: "[]"}},
    {"generation": 3, "annotations": {"a": "b"}},
)


def thinned(value, rng):
    if isinstance(value, dict):
        return {k: thinned(v, rng) for k, v in value.items() if rng.random() < 0.8}
    return [thinned(v, rng) for v in value if rng.random() < 0.9] if isinstance(value, list) else value


def depends(record, obj):
    """Whether, once an object has its defaults, other metadata leads to other ones."""
    for before in METADATA:
        first = {**copy.deepcopy(obj), "metadata": copy.deepcopy(before)}
        record.default(first)
        for after in METADATA:
            second = {**copy.deepcopy(first), "metadata": copy.deepcopy(after)}
            expected = copy.deepcopy(second)
            record.default(second)
            if second != expected:
                return True
    return False


@pytest.mark.parametrize(
    "record, obj",
    [
        pytest.param(RECORDS[kind], obj, id="/".join(kind))
        for obj in populated()
        if (kind := (obj["apiVersion"], obj["kind"])) in RECORDS
    ],
)
def test_defaults_by_metadata_is_told(record, obj):
    rng = random.Random(1)
    variants = [obj, *(thinned(obj, rng) for _ in range(8))]
    assert any(depends(record, v) for v in variants) <= record.defaults_by_metadata
