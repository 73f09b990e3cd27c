"""Terraform refuses values of variables in a plan, before the provider sends anything to Datadog.

The validations need no provider, so these tests run wherever `terraform` is installed.
"""

import json
import subprocess

import pytest

from support import terraform
from support.refused_parameters import ACCEPTED, REFUSED

pytestmark = [
    pytest.mark.timeout(400),
    pytest.mark.skipif(not terraform.PROGRAM, reason="needs terraform"),
]


@pytest.fixture
def text(repository):
    """The variables of the module."""
    return (repository / "observability" / "terraform" / "variables.tf").read_text()


@pytest.fixture
def messages(tmp_path, text):
    """Return the error messages of a plan with these variables."""
    (tmp_path / "variables.tf").write_text(text)

    def planned(**variables):
        (tmp_path / "terraform.tfvars.json").write_text(json.dumps(variables))
        done = subprocess.run(
            [terraform.PROGRAM, "plan", "-input=false", "-json"],
            cwd=tmp_path,
            env={"HOME": str(tmp_path), "CHECKPOINT_DISABLE": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=terraform.TIMEOUT_S,
        )
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        found = [line["diagnostic"]["detail"] for line in lines if line["type"] == "diagnostic"]
        assert bool(found) == bool(done.returncode), done.stderr
        return found

    return planned


@pytest.mark.parametrize("row", REFUSED, ids=str)
def test_a_plan_refuses_the_value_and_names_the_variable(messages, row):
    found = messages(**{row.variable: row.value})
    assert any(row.message in text for text in found), found
    assert all(text.startswith(row.variable) for text in found), found


@pytest.mark.parametrize(("variable", "value"), ACCEPTED, ids=str)
def test_a_plan_accepts_the_edges_of_each_range(messages, variable, value):
    assert messages(**{variable: value}) == []


@pytest.mark.parametrize("folder", ["observability/terraform", "examples/monitor-halt"])
def test_the_files_are_unchanged_by_terraform_fmt(tmp_path, repository, folder):
    done = subprocess.run(
        [terraform.PROGRAM, "fmt", "-check", "-diff", str(repository / folder)],
        env={"HOME": str(tmp_path), "CHECKPOINT_DISABLE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=terraform.TIMEOUT_S,
    )
    assert (done.returncode, done.stdout) == (0, "")


class TestMonitorHalt:
    """Variables of examples/monitor-halt/workflow.tf."""

    ID = "11111111-2222-3333-4444-555555555555"

    @pytest.fixture
    def text(self, repository):
        file = (repository / "examples" / "monitor-halt" / "workflow.tf").read_text()
        return file[file.index('variable "') : file.index("locals {")]

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("connection_id", ""),
            ("connection_id", "my-connection"),
            ("namespace", ""),
            ("namespace", "a'; delete"),
            ("namespace", "a" * 64),
            ("halts_per_hour", 0),
            ("halts_per_hour", 61),
            ("halts_per_hour", 1.5),
            ("halt_hours", 0.5),
            ("halt_hours", 25),
        ],
    )
    def test_a_plan_refuses_the_value(self, messages, name, value):
        (found,) = messages(**{"connection_id": self.ID, name: value})
        assert found.startswith(f"{name} must be")

    def test_a_plan_accepts_the_edges(self, messages):
        values = {"namespace": "a" * 63, "halts_per_hour": 60, "halt_hours": 24}
        assert messages(connection_id=self.ID, **values) == []
        assert messages(connection_id=self.ID, halts_per_hour=None, namespace=None) == []
