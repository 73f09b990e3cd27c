import gzip
import io
import json
import tarfile
from importlib import metadata

import pytest
import yaml
from release import artifacts, check, licenses, workflows

CHECKOUT = f"actions/checkout@{'a' * 40} # v7.0.1"
GOOD = f"""
name: x
on: {{push: {{}}}}
permissions: {{contents: read}}
concurrency: {{group: x}}
jobs:
  a:
    timeout-minutes: 5
    permissions: {{contents: write}}
    steps:
      - uses: {CHECKOUT}
        with: {{persist-credentials: false}}
      - run: echo "$A"
        env:
          A: ${{{{ github.ref_name }}}}
"""


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("", "", None),
        (f"@{'a' * 40} # v7.0.1", "@v7", "not pinned"),
        (f"@{'a' * 40} # v7.0.1", f"@{'a' * 40}", "not pinned"),
        (f"@{'a' * 40}", f"@{'a' * 39}", "not pinned"),
        ("on: {push: {}}", "on: {pull_request_target: {}}", "pull_request_target"),
        ("on: {push: {}}", "on: [pull_request_target]", "pull_request_target"),
        (
            "permissions: {contents: read}\nconcurrency",
            "concurrency",
            "permissions of the workflow",
        ),
        ("permissions: {contents: read}", "permissions: write-all", "permissions of the workflow"),
        ("permissions: {contents: write}", "permissions: write-all", "name each of them"),
        ("permissions: {contents: write}", "permissions: {actions: write}", "actions: write"),
        ("concurrency: {group: x}", "", "no concurrency"),
        ("    timeout-minutes: 5\n", "", "no timeout-minutes"),
        ("persist-credentials: false", "fetch-depth: 0", "persist-credentials"),
        ('echo "$A"', "echo ${{ github.head_ref }}", "contains an expression"),
    ],
)
def test_a_workflow_that_breaks_a_rule_is_reported(old, new, problem):
    assert old in GOOD
    found = list(workflows.problems(GOOD.replace(old, new, 1) if old else GOOD))
    if problem is None:
        assert found == []
    else:
        assert any(problem in line for line in found)


def test_the_workflows_of_the_repository_follow_the_rules():
    assert check.pinned_workflows().problems == []


def test_a_release_is_published_only_after_the_tests_and_the_second_build(repository):
    text = (repository / ".github" / "workflows" / "release.yml").read_text()
    jobs = yaml.safe_load(text)["jobs"]
    assert set(jobs["images"]["needs"]) == {"check", "test", "reproduce"}
    assert jobs["publish"]["needs"] == "images"
    may_write = {
        name for name, job in jobs.items() if "write" in job.get("permissions", {}).values()
    }
    assert may_write == {"images", "publish"}
    assert [name for name in jobs if "id-token" in jobs[name].get("permissions", {})] == ["publish"]
    for needed in ("--sbom=true", "--provenance=mode=max", "cosign sign --yes --recursive"):
        assert needed in text


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("Apache-2.0 OR GPL-3.0-only", True),
        ("Apache-2.0 AND GPL-3.0-only", False),
        ("GPL-3.0-only AND (MIT OR ISC)", False),
        ("MIT AND (GPL-3.0-only OR ISC)", True),
        ("(MIT)", True),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("GPL-2.0-only WITH Classpath-exception-2.0", False),
        ("LGPL-3.0-or-later", False),
        ("Proprietary", False),
        ("", False),
        ("MIT OR", True),
        ("MIT MIT", False),
        ("(MIT", False),
        ("AND", False),
    ],
)
def test_only_licenses_of_the_list_may_be_shipped(expression, allowed):
    assert licenses.is_allowed(expression) is allowed


def test_every_shipped_distribution_has_an_allowed_license(repository):
    assert licenses.problems(repository) == []
    shipped = licenses.shipped(repository)
    assert {"kopf", "fastapi", "ddtrace"} <= set(shipped)
    installed = [name for name in shipped if _is_installed(name)]
    assert len(installed) > 0.9 * len(shipped)


def _is_installed(name):
    try:
        return bool(metadata.version(name))
    except metadata.PackageNotFoundError:
        return False


def an_archive(files, *, mtime, owner="builder"):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name, text in files:
            item = tarfile.TarInfo(name)
            item.size, item.mtime, item.uname, item.mode = len(text), mtime, owner, 0o600
            archive.addfile(item, io.BytesIO(text))
    return content.getvalue()


FILES = [("chart/Chart.yaml", b"name: chart\n"), ("chart/values.yaml", b"a: 1\n")]


def test_archives_of_two_builds_have_the_same_bytes():
    first = artifacts.repacked(an_archive(FILES, mtime=1, owner="a"), 1000)
    second = artifacts.repacked(an_archive(FILES[::-1], mtime=2, owner="b"), 1000)
    assert first == second
    assert artifacts.repacked(an_archive(FILES, mtime=1), 2000) != first
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(first))) as archive:
        assert [(item.name, item.mtime, item.mode) for item in archive] == [
            (name, 1000, 0o644) for name, _ in FILES
        ]


def test_wheels_and_chart_of_two_builds_have_the_same_bytes():
    result = check.builds()
    assert result.problems == []
    assert result.summary.startswith("7 files")


def test_the_released_chart_names_the_images_of_the_registry(repository, tmp_path):
    registry = "ghcr.io/someone"
    package = artifacts.chart(
        repository / artifacts.CHARTS[0], tmp_path, epoch=1000, registry=registry
    )
    with tarfile.open(package) as archive:
        text = archive.extractfile("purpleflea-operator/values.yaml").read().decode()
    assert "localhost" not in text
    assert registry in text


def test_the_images_of_a_release_start_from_a_digest():
    result = check.pinned_bases()
    assert result.problems == []
    assert result.summary == "2 bases"


@pytest.mark.parametrize(
    ("dockerfile", "expected"),
    [
        (
            "ARG BASE_IMAGE=python@sha256:1\nFROM ${BASE_IMAGE} AS root\nFROM scratch\n",
            ["python@sha256:1"],
        ),
        ("FROM python:3.14 AS build\nFROM build\n", ["python:3.14"]),
        (
            "FROM registry.example.com/base:1\nFROM scratch AS empty\nFROM empty\n",
            ["registry.example.com/base:1"],
        ),
    ],
)
def test_the_bases_of_a_dockerfile_are_its_images_of_a_registry(dockerfile, expected):
    assert check.bases(dockerfile) == expected


def test_the_files_that_renovate_updates_exist(repository):
    settings = json.loads((repository / "renovate.json").read_text())
    assert settings["vulnerabilityAlerts"]["minimumReleaseAge"] is None
    assert list((repository / "requirements").glob("*.in"))
    for rule in settings["packageRules"]:
        for package in rule.get("matchPackageNames", ()):
            assert _is_installed(package)
