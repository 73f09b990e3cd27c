"""pytest fixtures around the fake API server; a conftest.py imports the ones it offers."""

from collections.abc import Iterator

import pytest

from support.apiserver.server import ApiServer


@pytest.fixture
def apiserver() -> Iterator[ApiServer]:
    """A fresh server with the preset kinds and no objects."""
    with ApiServer() as server:
        yield server


@pytest.fixture
def running_apiserver() -> Iterator[ApiServer]:
    """A fresh server whose StatefulSets get pods."""
    with ApiServer(runs_statefulsets=True) as server:
        yield server
