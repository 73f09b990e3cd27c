import pytest

from purpleflea_operator.datadog.client import errors
from purpleflea_operator.datadog.client.transport import Keys


@pytest.mark.parametrize(
    ("status", "message", "expected"),
    [
        (400, "bad", errors.Refused),
        (400, "Duplicate of an existing monitor_id:42 org_id:1", errors.Duplicate),
        (401, "", errors.DatadogForbidden),
        (403, "Forbidden", errors.DatadogForbidden),
        (404, "", errors.DatadogNotFound),
        (408, "", errors.Unreachable),
        (409, "exists", errors.Conflict),
        (302, "", errors.Refused),
        (429, "", errors.DatadogThrottled),
        (500, "", errors.Unreachable),
        (503, "", errors.Unreachable),
    ],
)
def test_each_status_code_has_its_error_class(status, message, expected):
    error = errors.from_response(status, message, {})
    assert type(error) is expected
    assert str(error) == f"{status}: {message}"


def test_a_duplicate_has_the_id_of_the_identical_monitor():
    error = errors.from_response(400, "Duplicate of an existing monitor_id:42 org_id:1", {})
    assert isinstance(error, errors.Duplicate)
    assert error.identifier == "42"


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
def test_a_rate_limit_has_the_time_until_its_reset(header, seconds):
    error = errors.from_response(429, "", {"X-RateLimit-Reset": header})
    assert isinstance(error, errors.DatadogThrottled)
    assert error.reset_s == seconds


def test_keys_are_redacted():
    keys = Keys(api="secret-one", app="secret-two")
    assert "secret" not in repr(keys)
    assert keys.redact("a secret-one and secret-two") == "a *** and ***"
