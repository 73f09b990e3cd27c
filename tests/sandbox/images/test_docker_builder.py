from pathlib import Path

import pytest

from purpleflea_sandbox.cluster.progress import NullProgress
from purpleflea_sandbox.images import archives, build, docker
from purpleflea_sandbox.images.errors import ImageError

# A docker that notes its arguments, and writes what it is asked to save.
ENGINE = """\
#!/bin/sh
echo "$@" >> "{calls}"
{extra}
for word in "$@"; do
    case $word in --output=*) echo saved > "${{word#--output=}}" ;; esac
done
"""


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, extra: str = "") -> Path:
    """Put a docker first on PATH; return the file with its calls."""
    program = folder / "bin" / "docker"
    program.parent.mkdir()
    calls = folder / "calls"
    program.write_text(ENGINE.format(calls=calls, extra=extra))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    return calls


def test_an_engine_that_answers_builds_and_saves(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = install(tmp_path, monkeypatch)
    made = build.ensure(["datadog"], NullProgress())
    assert made["datadog"].read_text() == "saved\n"
    asked, built, saved = calls.read_text().splitlines()
    assert asked.startswith("version ")
    assert built.startswith("build ")
    assert "--tag=localhost/purpleflea-datadog/agent:7.81.1" in built
    assert "--secret=id=pip_conf,src=" in built
    assert "--build-arg" not in built
    assert saved.startswith("save ")
    assert saved.endswith(" localhost/purpleflea-datadog/agent:7.81.1")


def test_an_engine_builds_an_example_on_the_agent_that_was_built(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = install(tmp_path, monkeypatch)
    build.ensure(["agent"], NullProgress())
    calls.unlink()
    build.ensure(["custom-agent"], NullProgress())
    _, loaded, built, _ = calls.read_text().splitlines()
    assert loaded.startswith("load --input=")
    assert "/agent-" in loaded
    assert built.endswith("/examples/custom-agent")


def test_a_failed_build_names_the_image_and_shows_the_end_of_its_log(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, extra='[ "$1" = build ] && { echo no space left; exit 3; }')
    with pytest.raises(
        ImageError, match=r"building the image agent failed \(exit 3\)(.|\n)*no space left"
    ):
        build.ensure(["agent"], NullProgress())
    assert not list(archives.folder().glob("agent-*"))


def test_a_client_without_an_engine_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, extra="exit 1")
    assert not docker.is_available()


def test_a_machine_without_docker_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not docker.is_available()
