"""Texts of a PurpleFleaObservability that become part of messages: only those of a URL or of a handle are accepted."""

import pytest
from pydantic import ValidationError

from purpleflea_operator.api.observability import ObservabilitySpec


def is_accepted(**spec):
    try:
        ObservabilitySpec.model_validate({"keysSecretRef": {"name": "keys"}, **spec})
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://wiki.example.com", True),
        ("https://wiki.example.com/", True),
        ("https://wiki.example.com:8443/a/b_c~d/", True),
        ("https://wiki.example.com/a%20b/(x)", True),
        ("http://[fd00::1]:8080/a", True),
        ("https://github.com/purpleflea/purpleflea-operator/blob/main/docs/runbooks", True),
        ("https://x/a\n", False),
        ("https://x/a\nb", False),
        ("https://x/a\r\n@all", False),
        ("https://x/a\tb", False),
        ("https://x/a b", False),
        ("https://x/\u00a0", False),
        ("https://x/\u00e9", False),
        ("https://x/{{#is_alert}}", False),
        ("https://x/{{value}}", False),
        ("https://x/%%host%%", True),
        ("https://x/${y}", False),
        ("https://x/`y`", False),
        ("https://x/<b>", False),
        ('https://x/"', False),
        ("https://x/\\", False),
        ("https://x/\0", False),
        ("https://user@x/", False),
        ("https://x/?a=b", False),
        ("https://x/#a", False),
        ("ftp://x/", False),
        ("x", False),
        ("https://", False),
    ],
)
def test_a_url_has_only_characters_of_urls(url, expected):
    assert is_accepted(runbooksUrl=url) is expected


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("slack:trading-alerts", True),
        ("slack:account/channel", True),
        ("pagerduty:trading", True),
        ("email:on-call+trading@example.com", True),
        ("email:a@b\n@all", False),
        ("email:a\n@b", False),
        ("email:a\t@b", False),
        ("email:a@b\u00a0", False),
        ("email:a{{#is_alert}}@b", False),
        ("email:a@b)", False),
        ("email:a@b@c", False),
        ("slack:a\n", False),
        ("slack:a b", False),
        ('workflow:x(agent_id="y")', False),
        ("slack:@all", False),
        ("sms:1", False),
    ],
)
def test_a_target_has_only_characters_of_handles(target, expected):
    assert is_accepted(notifications={"paging": [target]}) is expected
