"""An environment with wheels of our distributions and the dependencies that they declare, and nothing else.

The dependencies are those of the running environment, which has the locked versions, so no index is needed.
"""

import subprocess
import sys
import venv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """A virtual environment."""

    folder: Path
    wheels: tuple[Path, ...]

    @property
    def python(self) -> str:
        """Its interpreter."""
        return str(self.folder / "bin" / "python")

    def run(self, code: str) -> subprocess.CompletedProcess[str]:
        """Run a program in it, with warnings as errors."""
        return subprocess.run(
            [self.python, "-W", "error", "-c", code],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={"PATH": "/usr/bin:/bin"},
        )


def install(folder: Path, projects: Sequence[str], *, extras: Iterable[str] = ()) -> Installation:
    """Build the wheels of the project folders, and install them with their dependencies.

    `extras` are extras of the last project. The installer checks that each version is in the declared range.
    """
    dist = folder / "dist"
    sources = [str(REPOSITORY / project) for project in projects]
    _pip(
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "--wheel-dir",
        str(dist),
        *sources,
    )
    wheels = tuple(sorted(dist.glob("*.whl")))
    environment = folder / "environment"
    venv.create(environment, with_pip=False)
    installation = Installation(folder=environment, wheels=wheels)
    _pip(
        *("--python", installation.python, "install", "--no-deps", "--no-index", "--no-compile"),
        *map(str, wheels),
    )
    (target,) = environment.glob("lib/python3.*/site-packages")
    ours = {path.name.partition("-")[0].replace("_", "-") for path in wheels}
    installed = {
        name: metadata.PathDistribution(next(target.glob(f"{name.replace('-', '_')}-*.dist-info")))
        for name in ours
    }
    last = f"purpleflea-{projects[-1]}"
    for name in _closure(installed, {last: set(extras)}):
        _link(metadata.distribution(name), target)
    _pip("--python", installation.python, "check")
    return installation


def _closure(
    installed: dict[str, metadata.PathDistribution], extras: dict[str, set[str]]
) -> Iterator[str]:
    """Yield the names of all dependencies that are not installed."""
    pending = [(name, frozenset(extras.get(name, ()))) for name in installed]
    seen = set(pending)
    found: set[str] = set()
    while pending:
        name, wanted = pending.pop()
        distribution = installed.get(name) or metadata.distribution(name)
        for text in distribution.requires or ():
            requirement = Requirement(text)
            marker = requirement.marker
            if marker and not any(marker.evaluate({"extra": extra}) for extra in {"", *wanted}):
                continue
            item = (str(canonicalize_name(requirement.name)), frozenset(requirement.extras))
            if item not in seen:
                seen.add(item)
                pending.append(item)
                if item[0] not in installed and item[0] not in found:
                    found.add(item[0])
                    yield item[0]


def _link(distribution: metadata.Distribution, target: Path) -> None:
    for name in {path.parts[0] for path in distribution.files or ()} - {"..", "__pycache__"}:
        link = target / name
        if not link.exists():
            link.symlink_to(Path(str(distribution.locate_file(name))).resolve())


def _pip(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
