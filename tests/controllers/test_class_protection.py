"""Which volume attributes classes claims and volumes hold on to."""

import pytest

from skiff.controllers.volumeprotection import classes_of


@pytest.mark.parametrize(
    ("obj", "classes"),
    [
        pytest.param({"spec": {"volumeAttributesClassName": "gold"}}, {"gold"}, id="wanted"),
        pytest.param({"status": {"currentVolumeAttributesClassName": "tin"}}, {"tin"}, id="still in effect"),
        pytest.param(
            {"status": {"modifyVolumeStatus": {"targetVolumeAttributesClassName": "silver"}}},
            {"silver"},
            id="on the way",
        ),
        pytest.param({"spec": {"volumeAttributesClassName": ""}}, set(), id="none"),
    ],
)
def test_classes(obj, classes):
    assert classes_of(obj) == classes
