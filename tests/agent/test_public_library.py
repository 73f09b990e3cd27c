"""The public names of the library, and the import paths of version 0.1."""

import subprocess
import sys

import pytest

import purpleflea_agent

USES = """
import importlib, warnings
warnings.simplefilter("{action}")
{statement}
"""


def run(statement: str, *, action: str = "error") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", USES.format(action=action, statement=statement)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("name", purpleflea_agent.__all__)
def test_a_public_name_is_imported_without_a_warning(name: str) -> None:
    done = run(f"from purpleflea_agent import {name}")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "statement",
    [
        "from purpleflea_agent.control import ControlFile",
        "from purpleflea_agent.settings import read_environment, read_settings",
    ],
)
def test_the_paths_of_the_documentation_need_no_warning(statement: str) -> None:
    done = run(statement)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("statement", "remedy"),
    [
        ("from purpleflea_agent.metrics import record_pnl", "from purpleflea_sdk import metrics"),
        ("import purpleflea_agent.metrics as m; m.emitter", "from purpleflea_sdk import metrics"),
        ("from purpleflea_agent.logs import get_logger", "from purpleflea_sdk import logs"),
        ("from purpleflea_agent.tracing import span", "from purpleflea_sdk import tracing"),
        (
            "from purpleflea_agent import ending; ending.leave_within",
            "from purpleflea_sdk import exit_within",
        ),
    ],
)
def test_a_path_of_version_0_1_still_works_and_names_its_successor(
    statement: str, remedy: str
) -> None:
    assert run(statement, action="ignore").returncode == 0
    refused = run(statement)
    assert refused.returncode == 1
    assert f"DeprecationWarning: {statement.split()[1].partition(' ')[0].split('.')[0]}" in (
        refused.stderr
    )
    assert remedy in refused.stderr


def test_functions_of_an_old_path_use_the_same_emitter() -> None:
    done = run(
        "import purpleflea_agent.metrics as old; from purpleflea_agent import metrics;"
        " assert old.record_pnl is metrics.record_pnl; assert old.install is metrics.install",
        action="ignore",
    )
    assert done.returncode == 0, done.stderr


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nosuch'"):
        purpleflea_agent.nosuch  # noqa: B018 # type: ignore[attr-defined]


@pytest.mark.parametrize("module", ["wait_for_node_agent", "hold"])
def test_the_program_of_the_init_container_loads_no_other_package(module: str) -> None:
    heavy = ("pydantic", "ddtrace", "datadog", "httpx", "fastapi")
    done = run(
        f"import sys, purpleflea_agent.{module} as m; assert m.main;"
        f" assert not [name for name in {heavy} if name in sys.modules]"
    )
    assert done.returncode == 0, done.stderr
