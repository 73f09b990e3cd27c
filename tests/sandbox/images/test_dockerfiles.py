"""Guarantees of every Dockerfile of the project, checked on the files."""

import re
import tomllib
from pathlib import Path

import pytest

from purpleflea_sandbox import paths
from purpleflea_sandbox.images import catalogue

CHECKOUT = paths.checkout(Path(__file__).parent)
EVERY_IMAGE = pytest.mark.parametrize("image", catalogue.IMAGES, ids=lambda image: image.name)


def instructions(image: catalogue.Image) -> list[str]:
    """Return the instructions of the image's Dockerfile, with joined lines and without comments."""
    text = (CHECKOUT / image.dockerfile).read_text()
    kept = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    return [
        " ".join(line.split()) for line in kept.replace("\\\n", " ").splitlines() if line.strip()
    ]


def stages(image: catalogue.Image) -> list[list[str]]:
    """Return the instructions of each stage, starting with its FROM."""
    result: list[list[str]] = []
    for line in instructions(image):
        if line.startswith("FROM "):
            result.append([])
        if result:
            result[-1].append(line)
    return result


@EVERY_IMAGE
def test_the_builder_can_set_the_base_image_of_every_stage(
    image: catalogue.Image,
) -> None:
    assert instructions(image)[0].startswith("ARG BASE_IMAGE=docker.io/library/python:3.")
    names = {stage[0].split()[3] for stage in stages(image) if " AS " in stage[0]}
    for stage in stages(image):
        assert stage[0].split()[1] in {"${BASE_IMAGE}", *names}


@EVERY_IMAGE
def test_the_image_runs_as_a_numeric_non_root_user(image: catalogue.Image) -> None:
    users = [line for line in stages(image)[-1] if line.startswith("USER ")]
    assert users == ["USER 10001:10001"]


@EVERY_IMAGE
def test_the_last_stage_starts_from_the_base_and_has_no_run_step(image: catalogue.Image) -> None:
    last = stages(image)[-1]
    assert last[0] == "FROM ${BASE_IMAGE}"
    assert not [line for line in last if line.startswith(("RUN ", "ADD "))]
    assert all("--from=" in line for line in last if line.startswith("COPY "))


@EVERY_IMAGE
def test_dependencies_are_installed_by_hash_from_the_lock_of_the_image(
    image: catalogue.Image,
) -> None:
    installs = [line for line in instructions(image) if " install " in line]
    *dependencies, code = installs
    assert dependencies
    for line in dependencies:
        assert "--require-hashes" in line
        assert "--no-deps" in line
    assert "--no-index" in code
    assert "--no-deps" in code
    assert "--no-build-isolation" in code


@EVERY_IMAGE
def test_every_line_of_a_lock_is_pinned_and_hashed(image: catalogue.Image) -> None:
    locks = [
        name
        for name in catalogue.copied((CHECKOUT / image.dockerfile).read_text())
        if name.endswith(".txt")
    ]
    assert locks
    for lock in locks:
        entries = (CHECKOUT / lock).read_text().replace("\\\n", " ").splitlines()
        pinned = [entry for entry in entries if entry and not entry.startswith("#")]
        assert pinned
        for entry in pinned:
            assert re.match(r"[A-Za-z0-9._-]+==\S+ ", entry), entry
            assert "--hash=sha256:" in entry


@EVERY_IMAGE
def test_only_sources_and_project_files_enter_the_build(image: catalogue.Image) -> None:
    for name in catalogue.copied((CHECKOUT / image.dockerfile).read_text()):
        assert "/src" in name or name.endswith(("/pyproject.toml", ".txt")), name
        # Never a whole distribution folder: a package `operator` would shadow the standard library.
        assert name.rstrip("/") not in {
            ".",
            "operator",
            "agent_image",
            "contract",
            "sdk",
            "sandbox",
        }


@EVERY_IMAGE
def test_build_secrets_are_mounted_and_never_arguments(image: catalogue.Image) -> None:
    for line in instructions(image):
        assert not re.match(r"ARG (?!BASE_IMAGE)", line)
    final = " ".join(stages(image)[-1])
    assert "secret" not in final
    assert "PIP_" not in final


@EVERY_IMAGE
def test_the_labels_describe_the_image_and_match_the_version_of_the_tag(
    image: catalogue.Image,
) -> None:
    labels = dict(
        re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', " ".join(stages(image)[-1]))
    )
    assert labels.keys() == {"title", "description", "version", "licenses"}
    assert labels["licenses"] == "Apache-2.0"
    assert labels["version"] == image.reference.rpartition(":")[2]


@pytest.mark.parametrize(
    ("name", "folder"),
    [("operator", "operator"), ("agent", "agent_image"), ("exchange", "sandbox")],
)
def test_the_tag_is_the_version_of_the_distribution(name: str, folder: str) -> None:
    project = tomllib.loads((CHECKOUT / folder / "pyproject.toml").read_text())["project"]
    (image,) = catalogue.chosen([name])
    assert image.reference.endswith(f":{project['version']}")


def test_the_node_agent_stand_in_has_the_name_and_version_of_a_real_agent() -> None:
    (image,) = catalogue.chosen(["datadog"])
    repository, _, tag = image.reference.rpartition(":")
    assert repository.rpartition("/")[2] == "agent"
    assert re.fullmatch(r"7\.\d+\.\d+", tag)


@EVERY_IMAGE
def test_every_copied_path_exists(image: catalogue.Image) -> None:
    assert all(path.exists() for path in catalogue.inputs(image, CHECKOUT))


@EVERY_IMAGE
def test_every_copied_path_is_in_the_build_context(image: catalogue.Image) -> None:
    rules = (CHECKOUT / ".dockerignore").read_text().splitlines()
    allowed = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    assert "*" in rules
    for name in catalogue.copied((CHECKOUT / image.dockerfile).read_text()):
        assert name.split("/")[0] in allowed


@pytest.mark.parametrize("image", catalogue.EXAMPLES, ids=lambda image: image.name)
def test_an_example_is_a_layer_on_a_project_image_and_keeps_its_user(
    image: catalogue.Image,
) -> None:
    (base,) = catalogue.chosen([image.base])
    first, *others = instructions(image)
    assert first == f"ARG BASE_IMAGE={base.reference}"
    assert others[0] == "FROM ${BASE_IMAGE}"
    assert not [line for line in others if line.startswith(("USER ", "RUN ", "ADD "))]
    assert all(path.exists() for path in catalogue.inputs(image, CHECKOUT))
