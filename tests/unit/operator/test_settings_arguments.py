"""Arguments of the operator are settings, and take precedence over environment variables."""

import sys

import pytest
from pydantic import ValidationError

from purpleflea_operator import __main__
from purpleflea_operator.settings import ArgumentError, OperatorSettings


def test_an_argument_takes_precedence_over_a_variable(monkeypatch):
    monkeypatch.setenv("PURPLEFLEA_OPERATOR_WORKERS", "3")
    monkeypatch.setenv("PURPLEFLEA_OPERATOR_LOG_LEVEL", "ERROR")
    found = OperatorSettings.of_arguments(["--workers=5", "--watch-namespaces=a,b"])
    assert (found.workers, found.log_level, found.watch_namespaces) == (5, "ERROR", ("a", "b"))


def test_the_last_of_two_equal_arguments_applies_and_a_value_may_contain_the_separator():
    arguments = ["--log-level=DEBUG", "--log-level=INFO", "--datadog-urls=https://a/?b=c"]
    found = OperatorSettings.of_arguments(arguments)
    assert (found.log_level, found.datadog_urls) == ("INFO", ("https://a/?b=c",))


@pytest.mark.parametrize(
    "argument",
    [
        "--verbose",
        "--workers",
        "workers=3",
        "-workers=3",
        "--no-such=1",
        "--model-config=1",
        "",
        "--",
        "=",
        "--=1",
    ],
)
def test_an_argument_that_is_not_a_setting_is_refused(argument):
    with pytest.raises(ArgumentError, match="is not a setting of the operator; write --NAME=VALUE"):
        OperatorSettings.of_arguments([argument])


def test_an_invalid_value_is_refused():
    with pytest.raises(ValidationError, match="workers"):
        OperatorSettings.of_arguments(["--workers=0"])


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        ("--verbose=1", "'--verbose' is not a setting"),
        ("--workers=0", "PURPLEFLEA_OPERATOR_WORKERS: "),
        ("uninstall-checks", "'uninstall-checks' is not a setting"),
    ],
)
def test_a_wrong_argument_ends_the_start_with_one_line(monkeypatch, capsys, argument, text):
    monkeypatch.setattr(sys, "argv", ["purpleflea_operator", argument])
    assert __main__.main() == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert text in line
