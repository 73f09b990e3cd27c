"""Build context of one image: a copy of its input files, so that an edit during the build cannot
produce an archive that differs from its key.

This module builds nothing.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

from purpleflea_sandbox.images import catalogue

_IGNORED_FOLDERS = frozenset({"__pycache__"})
_IGNORED_SUFFIXES = frozenset({".pyc", ".egg-info"})


def files(image: catalogue.Image, checkout: Path) -> Iterator[Path]:
    """Yield every file that is part of the image, in a fixed sequence."""
    for path in catalogue.inputs(image, checkout):
        yield from _below(path)


def snapshot(image: catalogue.Image, checkout: Path, folder: Path) -> None:
    """Copy the files of the image to the same relative paths below `folder`."""
    for file in files(image, checkout):
        copy = folder / file.relative_to(checkout)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, copy)


def _below(path: Path) -> Iterator[Path]:
    # The same files that .dockerignore includes in a build.
    if path.is_file():
        yield path
        return
    for entry in sorted(path.iterdir()):
        hidden = entry.name.startswith(".") or entry.name in _IGNORED_FOLDERS
        if not hidden and entry.suffix not in _IGNORED_SUFFIXES:
            yield from _below(entry)
