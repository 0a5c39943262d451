import pytest

from skiff.api.gvr import CONFIGMAPS
from tests.client.fakeapi import FakeApi


@pytest.fixture
def api() -> FakeApi:
    return FakeApi(CONFIGMAPS)
