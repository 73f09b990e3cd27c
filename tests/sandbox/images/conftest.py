from pathlib import Path

import pytest

from purpleflea_sandbox.images.catalogue import IMAGES

DOCKERFILE = """\
ARG BASE_IMAGE=docker.io/library/python:3.11-slim-bookworm
FROM ${{BASE_IMAGE}} AS code
COPY {name}/requirements.txt /build/
COPY shared/src {name}/src /build/
FROM ${{BASE_IMAGE}}
COPY --from=code /opt/app /opt/app
"""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Create a small checkout with sources for every image and an empty cache; return its root."""
    root = tmp_path / "checkout"
    _write(root / "sandbox" / "pyproject.toml", "")
    _write(root / "shared" / "src" / "shared.py", "SHARED = 1\n")
    for image in IMAGES:
        _write(root / image.dockerfile, DOCKERFILE.format(name=image.name))
        _write(root / image.name / "requirements.txt", "thing==1\n")
        _write(root / image.name / "src" / "package" / "module.py", f"NAME = '{image.name}'\n")
    example = root / "examples" / "custom-agent"
    _write(example / "Dockerfile", "FROM ${BASE_IMAGE}\nCOPY agent.py /opt/agent/agent.py\n")
    _write(example / "agent.py", "NAME = 'custom'\n")
    monkeypatch.chdir(root)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return root


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
