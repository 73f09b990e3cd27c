from collections.abc import Iterator

import httpx
import pytest

from support.apiserver import ApiServer
from support.apiserver.fixtures import apiserver, running_apiserver

__all__ = ["apiserver", "running_apiserver"]


@pytest.fixture
def http(apiserver: ApiServer) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=apiserver.url, headers={"User-Agent": "kubectl/1.37"}, timeout=10
    ) as client:
        yield client
