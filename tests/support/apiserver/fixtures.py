"""pytest fixtures for the fake API server. A conftest.py imports the fixtures that it provides."""

from collections.abc import Iterator

import pytest

from support.apiserver.server import ApiServer


@pytest.fixture
def apiserver() -> Iterator[ApiServer]:
    """Server with the preset kinds and no objects."""
    with ApiServer() as server:
        yield server


@pytest.fixture
def running_apiserver() -> Iterator[ApiServer]:
    """Server that creates pods for StatefulSets."""
    with ApiServer(runs_statefulsets=True) as server:
        yield server
