from pathlib import Path

import pytest

from purpleflea_sandbox.cluster.progress import NullProgress
from purpleflea_sandbox.images import archives, build, docker
from purpleflea_sandbox.images.errors import ImageError

# A docker that records its arguments and writes a file for `docker save`.
ENGINE = """\
#!/bin/sh
echo "$@" >> "{calls}"
{extra}
for argument in "$@"; do
    case $argument in --output=*) echo saved > "${{argument#--output=}}" ;; esac
done
"""


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, extra: str = "") -> Path:
    """Install a docker as the first program on PATH; return the file with its calls."""
    program = folder / "bin" / "docker"
    program.parent.mkdir()
    calls = folder / "calls"
    program.write_text(ENGINE.format(calls=calls, extra=extra))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    return calls


def test_a_responding_engine_builds_and_saves(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = install(tmp_path, monkeypatch)
    archives_by_name = build.ensure(["datadog"], NullProgress())
    assert archives_by_name["datadog"].read_text() == "saved\n"
    checked, built, saved = calls.read_text().splitlines()
    assert checked.startswith("version ")
    assert built.startswith("build ")
    assert "--tag=localhost/purpleflea-datadog/agent:7.81.1" in built
    assert "--secret=id=pip_conf,src=" in built
    assert "--build-arg" not in built
    assert saved.startswith("save ")
    assert saved.endswith(" localhost/purpleflea-datadog/agent:7.81.1")


def test_an_example_is_built_on_the_previously_built_agent(
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
        ImageError, match=r"building the image agent failed \(exit code 3\)(.|\n)*no space left"
    ):
        build.ensure(["agent"], NullProgress())
    assert not list(archives.folder().glob("agent-*"))


def test_a_client_without_an_engine_is_not_available(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, extra="exit 1")
    assert not docker.is_available()


def test_docker_is_not_available_without_a_client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not docker.is_available()
