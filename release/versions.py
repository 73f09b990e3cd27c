"""The version of the project: every place that has it, and a command that changes all of them.

Usage: python -m release.versions [NEW]     It prints the places. With NEW, it writes that version to all of them.

The source is `__version__` of the operator. Generated files follow with `make crds docs observability`.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SOURCE = "operator/src/purpleflea_operator/__init__.py"
VERSION = r"(?P<version>[0-9]+\.[0-9]+\.[0-9]+(?:-[a-z]+\.[0-9]+)?)"
FORM = re.compile(rf"^{VERSION}$")
PYTHON = (rf'^__version__ = "{VERSION}"',)
PROJECT = (
    rf'^version = "{VERSION}"',
    rf'"purpleflea-(?:contract|sdk(?:\[[a-z,]+\])?)=={VERSION}"',
)
IMAGE = rf"purpleflea-(?:operator|agent|exchange):{VERSION}"
DOCKERFILE = (IMAGE, rf'image\.version="{VERSION}"')
CHART = (rf"^version: {VERSION}", rf"^appVersion: {VERSION}")
PLACES: dict[str, tuple[str, ...]] = {
    SOURCE: PYTHON,
    "contract/pyproject.toml": PROJECT,
    "sdk/pyproject.toml": PROJECT,
    "operator/pyproject.toml": PROJECT,
    "agent_image/pyproject.toml": PROJECT,
    "sandbox/pyproject.toml": PROJECT,
    "cli/pyproject.toml": PROJECT,
    "operator/Dockerfile": DOCKERFILE,
    "agent_image/Dockerfile": DOCKERFILE,
    "sandbox/images/exchange/Dockerfile": DOCKERFILE,
    "examples/custom-agent/Dockerfile": (IMAGE,),
    "examples/own-trading-agent/Dockerfile": (IMAGE,),
    "examples/strategy/Dockerfile": (IMAGE,),
    "charts/*/Chart.yaml": CHART,
    "sandbox/src/purpleflea_sandbox/images/catalogue.py": (IMAGE,),
    "sandbox/src/purpleflea_sandbox/exchange/api/app.py": (rf'version="{VERSION}"',),
    "cli/src/kubectl_purpleflea/application.py": (rf'version_option\("{VERSION}"',),
    "agent_check/purpleflea_agent.py": PYTHON,
    "agent_check/README.md": (rf"^\| Version \| {VERSION} \|",),
    "charts/paper-exchange/README.md": (rf"paper-exchange-{VERSION}\.tgz",),
    "README.md": (
        rf"purpleflea-\$\{{image%:\*\}}:{VERSION}",
        rf"(?:purpleflea-operator|paper-exchange)-{VERSION}\.tgz",
    ),
}
"""Paths of the files, as patterns, and the patterns of the lines that have the version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One place of the version."""

    path: str
    line: int
    version: str

    def __str__(self) -> str:
        return f"{self.version:12} {self.path}:{self.line}"


def places(root: Path) -> Iterator[Place]:
    """Yield each place of the version, by file and line."""
    for file, patterns in _files(root):
        for number, line in enumerate(file.read_text("utf-8").splitlines(), start=1):
            for pattern in patterns:
                for found in re.finditer(pattern, line):
                    path = file.relative_to(root).as_posix()
                    yield Place(path=path, line=number, version=found["version"])


def _files(root: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    for path, patterns in PLACES.items():
        for file in sorted(root.glob(path)):
            yield file, patterns


def current(root: Path) -> str:
    """Return the version of the operator."""
    return next(place.version for place in places(root) if place.path == SOURCE)


def differing(root: Path) -> list[Place]:
    """Return the places that have another version than the operator."""
    version = current(root)
    return [place for place in places(root) if place.version != version]


def replace(root: Path, version: str) -> None:
    """Write a version to all places.

    Raises:
        ValueError: The version is not of the form 1.2.3 or 1.2.3-rc.1.
    """
    if FORM.match(version) is None:
        raise ValueError(f"{version} is not a version such as 1.2.3 or 1.2.3-rc.1")
    for file, patterns in _files(root):
        lines = file.read_text("utf-8").splitlines(keepends=True)
        for pattern in patterns:
            lines = [re.sub(pattern, lambda found: _with(found, version), line) for line in lines]
        file.write_text("".join(lines), encoding="utf-8")


def _with(found: re.Match[str], version: str) -> str:
    text, start = found[0], found.start("version") - found.start()
    return text[:start] + version + text[start + len(found["version"]) :]


def main(arguments: list[str]) -> int:
    """Print the places, after a change if a version is given; returns 1 if they differ."""
    root = Path(__file__).parents[1]
    if arguments:
        try:
            replace(root, arguments[0].removeprefix("v"))
        except ValueError as error:
            print(f"versions: {error}", file=sys.stderr)
            return 2
    for place in places(root):
        print(place)
    return int(bool(differing(root)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
