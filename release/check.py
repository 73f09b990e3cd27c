"""Run the checks of a release that need no registry and no signature, and print a table of the results.

Usage: python -m release.check     The exit code is 1 if a check failed.
"""

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from release import artifacts, changelog, licenses, versions, workflows

ROOT = Path(__file__).parents[1]
BASE = re.compile(r"^(?:ARG BASE_IMAGE=|FROM )(?P<image>\S+)(?: AS (?P<stage>\S+))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Result of one check: the problems, or a summary if there are none."""

    problems: list[str]
    summary: str = ""


def version() -> Result:
    """Compare all places of the version."""
    places = list(versions.places(ROOT))
    problems = [f"{place} is not {versions.current(ROOT)}" for place in versions.differing(ROOT)]
    return Result(problems=problems, summary=f"{versions.current(ROOT)} in {len(places)} places")


def changes() -> Result:
    """Check that the changelog has a section of the version, or unreleased changes that can become one."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    number = versions.current(ROOT)
    try:
        return Result(problems=[], summary=f"{len(changelog.notes(text, number))} characters")
    except ValueError:
        pass
    try:
        notes = changelog.notes(changelog.cut(text, number, "2026-01-01"), number)
    except ValueError as error:
        return Result(problems=[str(error)])
    return Result(problems=[], summary=f"unreleased, {len(notes)} characters")


def builds() -> Result:
    """Build wheels and charts twice, in different folders, and compare their bytes."""
    epoch = artifacts.commit_time(ROOT)
    with tempfile.TemporaryDirectory() as scratch:
        first = _checksums(artifacts.build(ROOT, Path(scratch) / "first", epoch=epoch))
        copy = Path(scratch) / "another folder"
        for name in (*artifacts.WHEELS, *artifacts.CHARTS):
            ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", "dist")
            shutil.copytree(ROOT / name, copy / name, ignore=ignored, copy_function=shutil.copyfile)
        second = _checksums(artifacts.build(copy, Path(scratch) / "second", epoch=epoch))
    problems = [
        f"{name} differs between two builds"
        for name in sorted(first.keys() | second.keys())
        if first.get(name) != second.get(name)
    ]
    return Result(problems=problems, summary=f"{len(first)} files are the same in two builds")


def _checksums(files: list[Path]) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def allowed_licenses() -> Result:
    """Check the licenses of the dependencies in the images."""
    count = len(licenses.shipped(ROOT))
    return Result(problems=licenses.problems(ROOT), summary=f"{count} distributions")


def pinned_workflows() -> Result:
    """Check permissions and pins of the workflows."""
    files = sorted((ROOT / ".github" / "workflows").glob("*.y*ml"))
    problems = [
        f"{file.name}: {line}" for file in files for line in workflows.problems(file.read_text())
    ]
    return Result(problems=problems, summary=f"{len(files)} workflows")


def pinned_bases() -> Result:
    """Check that each image of the release starts from a digest."""
    found = {
        file: bases((ROOT / file).read_text(encoding="utf-8"))
        for file in ("operator/Dockerfile", "agent_image/Dockerfile")
    }
    problems = [
        f"{file}: {image} has no digest"
        for file, images in found.items()
        for image in images
        if "@sha256:" not in image
    ]
    return Result(problems=problems, summary=f"{sum(map(len, found.values()))} bases")


def bases(dockerfile: str) -> list[str]:
    """Return the images of a Dockerfile that come from a registry."""
    found = [match for line in dockerfile.splitlines() if (match := BASE.match(line))]
    local = {"${BASE_IMAGE}", "scratch", *(match["stage"] for match in found)}
    return [match["image"] for match in found if match["image"] not in local]


def charts() -> Result:
    """Lint the charts."""
    helm = Path(sys.executable).parent / "helm"
    command = [str(helm), "lint", "--strict", "--quiet", *map(str, artifacts.CHARTS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    problems = (done.stdout + done.stderr).strip().splitlines() if done.returncode else []
    return Result(problems=problems, summary="helm lint")


CHECKS: dict[str, Callable[[], Result]] = {
    "version": version,
    "changelog": changes,
    "reproducible builds": builds,
    "licenses": allowed_licenses,
    "workflows": pinned_workflows,
    "bases of images": pinned_bases,
    "charts": charts,
}


def run(console: Console) -> Iterator[tuple[str, Result, float]]:
    """Run the checks one after the other, with a line of progress for each."""
    for number, (name, check) in enumerate(CHECKS.items(), start=1):
        console.print(f"release-check {number}/{len(CHECKS)}: {name}", highlight=False)
        began = time.monotonic()
        yield name, check(), time.monotonic() - began


def main() -> int:
    """Run all checks, print the table and the problems, and return 1 if there are any."""
    console, table, failed = Console(width=110), Table(title="make release-check"), False
    table.add_column("check")
    table.add_column("seconds", justify="right")
    table.add_column("result")
    problems: list[str] = []
    for name, result, seconds in run(console):
        failed |= bool(result.problems)
        problems += [f"{name}: {line}" for line in result.problems]
        text = (
            f"{len(result.problems)} problems" if result.problems else f"passed: {result.summary}"
        )
        table.add_row(name, f"{seconds:.1f}", text)
    console.print(table)
    console.print(
        "Not checked here: vulnerabilities (make audit), images, signatures and registries."
    )
    for line in problems:
        console.print(line, highlight=False, soft_wrap=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
