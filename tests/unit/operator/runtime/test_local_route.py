"""A route that answers only clients in the pod of the operator."""

import json

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from purpleflea_operator.runtime.local_route import is_loopback, local_route


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:10.0.0.1", False),
        ("10.0.0.1", False),
        ("0.0.0.0", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fd00::127.0.0.1", False),
        ("localhost", False),
        ("", False),
        (None, False),
    ],
)
def test_only_loopback_addresses_are_local(address, expected):
    assert is_loopback(address) is expected


async def answer_to(content, *, remote):
    route = local_route(lambda document: (200, {"received": document}))
    request = make_mocked_request("POST", "/").clone(remote=remote)
    request._read_bytes = content
    response = await route(request)
    assert isinstance(response, web.Response)
    return response.status, json.loads(response.body)


async def test_a_document_of_a_local_client_is_answered():
    assert await answer_to(b'{"a": 1}', remote="::1") == (200, {"received": {"a": 1}})


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"NaN", b"[" * 5000])
async def test_a_body_that_is_not_json_is_refused(content):
    assert await answer_to(content, remote="127.0.0.1") == (
        400,
        {"error": "the body is not JSON"},
    )


async def test_another_pod_gets_no_answer():
    status, _ = await answer_to(b'{"a": 1}', remote="10.0.0.1")
    assert status == 403
