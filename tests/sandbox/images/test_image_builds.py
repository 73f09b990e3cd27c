from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from purpleflea_sandbox.cluster.local.image_store import contents
from purpleflea_sandbox.cluster.progress import NullProgress, Progress
from purpleflea_sandbox.images import archives, build, catalogue, docker, keys
from purpleflea_sandbox.images.buildah import Buildah
from purpleflea_sandbox.images.catalogue import Image
from purpleflea_sandbox.images.commands import images
from purpleflea_sandbox.images.docker import Docker
from purpleflea_sandbox.images.errors import ImageError


class Builder:
    """Builds archives that contain their source text; fails for the images in `failing`."""

    base_key = "base"

    def __init__(self, failing: Sequence[str] = ()) -> None:
        self.built: list[str] = []
        self.prepared = 0
        self.discarded = 0
        self._failing = failing

    def prepare(self, progress: Progress) -> None:
        del progress
        self.prepared += 1

    def discard_base(self) -> None:
        self.discarded += 1

    def build(
        self, image: Image, sources: Path, archive: Path, *, base: Path | None = None
    ) -> None:
        if base is None:
            archive.write_text((sources / image.name / "src/package/module.py").read_text())
        else:
            own = (sources / image.folder / "agent.py").read_text()
            archive.write_text(base.read_text() + own)
        if image.name in self._failing:
            raise ImageError(f"building the image {image.name} failed")
        self.built.append(image.name)


def run(builder: Builder, *names: str, fresh: bool = False) -> dict[str, Path]:
    return build.build_with(builder, catalogue.chosen(names), NullProgress(), fresh=fresh)


def test_without_names_every_image_is_built(checkout: Path) -> None:
    built = run(Builder())
    assert list(built) == ["operator", "agent", "exchange", "datadog"]
    assert all(path.read_text() == f"NAME = '{name}'\n" for name, path in built.items())


def test_a_built_image_is_not_built_again(checkout: Path) -> None:
    first = run(Builder())
    again = Builder()
    assert run(again) == first
    assert again.built == []
    assert again.prepared == 0


def test_only_the_image_whose_source_changed_is_built(checkout: Path) -> None:
    first = run(Builder())
    (checkout / "agent/src/package/module.py").write_text("NAME = 'changed'\n")
    again = Builder()
    second = run(again)
    assert again.built == ["agent"]
    assert second["agent"].read_text() == "NAME = 'changed'\n"
    assert {name for name in first if first[name] != second[name]} == {"agent"}


def test_a_failed_build_leaves_no_archive(checkout: Path) -> None:
    with pytest.raises(ImageError, match="building the image agent failed"):
        run(Builder(failing=["agent"]))
    assert [path.name.split("-")[0] for path in archives.folder().glob("*.tar*")] == ["operator"]
    again = Builder()
    run(again)
    assert again.built == ["agent", "exchange", "datadog"]


def test_an_edit_during_a_build_does_not_change_the_archive(
    checkout: Path,
) -> None:
    module = checkout / "operator/src/package/module.py"

    class EditedMeanwhile(Builder):
        def build(
            self, image: Image, sources: Path, archive: Path, *, base: Path | None = None
        ) -> None:
            module.write_text("NAME = 'edited'\n")
            super().build(image, sources, archive, base=base)

    assert run(EditedMeanwhile(), "operator")["operator"].read_text() == "NAME = 'operator'\n"
    assert run(Builder(), "operator")["operator"].read_text() == "NAME = 'edited'\n"


def test_fresh_builds_on_a_new_base(checkout: Path) -> None:
    run(Builder())
    again = Builder()
    run(again, "operator", fresh=True)
    assert again.discarded == 1
    assert again.built == ["operator"]


def test_only_the_most_recently_used_archives_are_kept(checkout: Path) -> None:
    module = checkout / "operator/src/package/module.py"
    built = []
    for number in range(3):
        module.write_text(f"N = {number}\n")
        built.append(run(Builder(), "operator")["operator"])
    assert [path.exists() for path in built] == [False, True, True]


def test_using_an_archive_keeps_it(checkout: Path) -> None:
    module = checkout / "operator/src/package/module.py"
    built = []
    for text in ("N = 0\n", "N = 1\n", "N = 0\n", "N = 2\n"):
        module.write_text(text)
        built.append(run(Builder(), "operator")["operator"])
    assert built[0] == built[2]
    assert [path.exists() for path in built] == [True, False, True, True]


def test_an_example_is_built_on_the_agent_of_the_same_sources(checkout: Path) -> None:
    builder = Builder()
    first = run(builder, "custom-agent")
    assert builder.built == ["agent", "custom-agent"]
    assert list(first) == ["custom-agent"]
    assert first["custom-agent"].read_text() == "NAME = 'agent'\nNAME = 'custom'\n"
    (checkout / "agent/src/package/module.py").write_text("NAME = 'newer'\n")
    again = Builder()
    assert "newer" in run(again, "custom-agent")["custom-agent"].read_text()
    assert again.built == ["agent", "custom-agent"]


def test_a_changed_example_is_built_on_the_existing_agent(checkout: Path) -> None:
    run(Builder(), "agent")
    (checkout / "examples/custom-agent/agent.py").write_text("NAME = 'changed'\n")
    again = Builder()
    run(again, "custom-agent")
    assert again.built == ["custom-agent"]
    assert run(Builder(), "custom-agent")["custom-agent"].read_text().endswith("'changed'\n")


def test_cached_archives_need_no_builder(checkout: Path) -> None:
    for image in catalogue.IMAGES:
        with archives.publishing(
            image.name, keys.image_key(image, checkout, "docker")
        ) as unfinished:
            unfinished.write_text("archive")
    ready = build.ensure([], NullProgress())
    assert {path.read_text() for path in ready.values()} == {"archive"}


def test_a_single_program_image_is_rebuilt_only_for_another_program(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = checkout / "programs" / "csi-driver"
    program.parent.mkdir()
    monkeypatch.setenv("PURPLEFLEA_KUBE_BIN", str(program.parent))
    built = []
    for text in ("#!/bin/sh\n", "#!/bin/sh\n", "#!/bin/sh\n# newer\n"):
        program.write_text(text)
        program.chmod(0o755)
        built.append(build.ensure(["csi-driver"], NullProgress())["csi-driver"])
    assert built[0] == built[1] != built[2]
    assert list(contents(built[2])) == ["localhost/purpleflea-datadog/csi-driver:1.2.0"]


def test_an_unknown_name_is_one_clear_line() -> None:
    result = CliRunner().invoke(images, ["build", "operatr"])
    assert result.exit_code == 1
    assert (
        result.stderr
        == "Error: image 'operatr' does not exist; available images: operator, agent, exchange, datadog, "
        "custom-agent, csi-driver\n"
    )


def test_references_are_those_that_pods_use() -> None:
    assert build.references(["datadog"]) == {"datadog": "localhost/purpleflea-datadog/agent:7.81.1"}


@pytest.mark.parametrize(
    ("variable", "answers", "expected"),
    [
        ("", True, Docker),
        ("auto", True, Docker),
        ("docker", True, Docker),
        ("buildah", True, Buildah),
        ("", False, Buildah),
        ("buildah", False, Buildah),
    ],
)
def test_the_builder_is_chosen_apart_from_the_engine(
    monkeypatch: pytest.MonkeyPatch, variable: str, answers: bool, expected: type[Builder]
) -> None:
    monkeypatch.setenv(build.BUILDER_VARIABLE, variable)
    monkeypatch.setattr(docker, "is_available", lambda: answers)
    monkeypatch.setattr(build.os, "geteuid", lambda: 0)
    assert isinstance(build._usable_builder((Docker(), Buildah())), expected)


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        ("kaniko", "PURPLEFLEA_IMAGE_BUILDER is kaniko; set it to docker, buildah or auto"),
        ("docker", "PURPLEFLEA_IMAGE_BUILDER is docker, but no Docker engine answers"),
    ],
)
def test_a_builder_that_cannot_be_used_is_an_error(
    monkeypatch: pytest.MonkeyPatch, variable: str, message: str
) -> None:
    monkeypatch.setenv(build.BUILDER_VARIABLE, variable)
    monkeypatch.setattr(docker, "is_available", lambda: False)
    with pytest.raises(ImageError, match=message):
        build._usable_builder((Docker(), Buildah()))
