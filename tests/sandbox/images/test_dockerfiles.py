"""Guarantees of every Dockerfile of the project, checked on the files."""

import re
import shutil
import subprocess
import tomllib
from importlib.metadata import metadata
from pathlib import Path

import pytest

from purpleflea_sandbox import paths
from purpleflea_sandbox.images import catalogue

CHECKOUT = paths.checkout(Path(__file__).parent)
BASE_IMAGE = (CHECKOUT / "requirements" / "base-image.txt").read_text().strip()
DIGEST = r"docker\.io/library/python:3\.(?P<minor>\d+)-slim-\w+@sha256:[0-9a-f]{64}"
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
    assert instructions(image)[0] == f"ARG BASE_IMAGE={BASE_IMAGE}"
    names = {stage[0].split()[3] for stage in stages(image) if " AS " in stage[0]}
    *built, final = stages(image)
    for stage in built:
        assert stage[0].split()[1] in {"${BASE_IMAGE}", *names}
    assert final[0] == "FROM scratch"


def test_the_base_is_pinned_by_digest_and_its_python_has_a_wheel_of_the_tracer() -> None:
    base = re.fullmatch(DIGEST, BASE_IMAGE)
    assert base is not None
    # ddtrace has compiled code for each version of Python, and the agent's image has no compiler.
    supported = [
        int(name.rpartition(".")[2])
        for name in metadata("ddtrace").get_all("Classifier") or ()
        if name.startswith("Programming Language :: Python :: 3.")
    ]
    assert int(base["minor"]) == max(supported)


def test_an_example_with_a_build_stage_uses_the_same_base() -> None:
    for path in (CHECKOUT / "examples").rglob("Dockerfile"):
        for line in path.read_text().splitlines():
            if line.startswith("FROM ") and "${" not in line:
                assert line.split()[1] == BASE_IMAGE, path


@pytest.mark.parametrize(
    ("reference", "accepted"),
    [
        (f"docker.io/library/python:3.15-slim-trixie@sha256:{'a' * 64}", True),
        ("docker.io/library/python:3.15-slim-trixie", False),
        (f"docker.io/library/python@sha256:{'a' * 64}", False),
        (f"docker.io/library/python:3.15@sha256:{'a' * 63}", False),
    ],
)
def test_the_script_pins_a_new_base_in_every_dockerfile(
    tmp_path: Path, reference: str, accepted: bool
) -> None:
    files = [Path(image.dockerfile) for image in catalogue.IMAGES]
    files += [Path("examples/strategy/Dockerfile"), Path("requirements/base-image.txt")]
    for file in (*files, Path("requirements/base-image.sh")):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / file, tmp_path / file)
    done = subprocess.run(
        ["sh", "requirements/base-image.sh", reference],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        check=False,
    )
    assert (done.returncode == 0) is accepted
    for file in files:
        assert (reference in (tmp_path / file).read_text()) is accepted
        assert (BASE_IMAGE in (tmp_path / file).read_text()) is not accepted


@EVERY_IMAGE
def test_the_image_runs_as_a_numeric_non_root_user(image: catalogue.Image) -> None:
    users = [line for line in stages(image)[-1] if line.startswith("USER ")]
    assert users == ["USER 10001:10001"]


@EVERY_IMAGE
def test_the_last_stage_starts_from_the_base_without_package_managers_and_has_no_run_step(
    image: catalogue.Image,
) -> None:
    *_, root, last = stages(image)
    # The same instructions in each image give the same layer, which a node downloads once.
    assert root == stages(catalogue.IMAGES[0])[-2]
    assert root[0] == "FROM ${BASE_IMAGE} AS root"
    assert last[:2] == ["FROM scratch", "COPY --from=root / /"]
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
