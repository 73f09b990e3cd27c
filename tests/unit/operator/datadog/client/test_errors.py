import pytest

from purpleflea_operator.datadog.client import errors
from purpleflea_operator.datadog.client.transport import Keys


@pytest.mark.parametrize(
    ("status", "message", "expected"),
    [
        (400, "bad", errors.Refused),
        (400, "Duplicate of an existing monitor_id:42 org_id:1", errors.Duplicate),
        (401, "", errors.Forbidden),
        (403, "Forbidden", errors.Forbidden),
        (404, "", errors.NotFound),
        (408, "", errors.Unreachable),
        (409, "exists", errors.Refused),
        (302, "", errors.Refused),
        (429, "", errors.Throttled),
        (500, "", errors.Unreachable),
        (503, "", errors.Unreachable),
    ],
)
def test_an_answer_is_an_error_by_what_to_do_about_it(status, message, expected):
    found = errors.from_response(status, message, {})
    assert type(found) is expected
    assert str(found) == f"{status}: {message}"


def test_a_duplicate_names_the_monitor_that_is_the_same():
    found = errors.from_response(400, "Duplicate of an existing monitor_id:42 org_id:1", {})
    assert isinstance(found, errors.Duplicate)
    assert found.identifier == "42"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        ("0", 0),
        ("", 60),
        ("soon", 60),
        ("-1", 60),
        ("nan", 60),
        ("inf", 3600),
        ("99999", 3600),
    ],
)
def test_a_rate_limit_says_when_it_resets(header, seconds):
    found = errors.from_response(429, "", {"X-RateLimit-Reset": header})
    assert isinstance(found, errors.Throttled)
    assert found.reset_s == seconds


def test_keys_never_show():
    keys = Keys(api="secret-one", app="secret-two")
    assert "secret" not in repr(keys)
    assert keys.hidden("a secret-one and secret-two") == "a *** and ***"
