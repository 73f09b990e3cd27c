"""Cache of built image archives.

Archives are found by key and published atomically; the least recently used are pruned. This module
does not depend on how an archive is built.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from purpleflea_sandbox import paths

KEPT = 2


def folder() -> Path:
    return paths.cache() / "images"


def path(name: str, key: str) -> Path:
    return folder() / f"{name}-{key}.tar"


def find(name: str, key: str) -> Path | None:
    """Return the archive of this key if it exists, and mark it as used so that it is pruned later."""
    archive = path(name, key)
    try:
        os.utime(archive)
    except FileNotFoundError:
        return None
    return archive


def has_any(name: str) -> bool:
    return any(_of(name))


@contextmanager
def publishing(name: str, key: str) -> Iterator[Path]:
    """Yield a path to write an archive to; the archive gets its final name only if the build
    succeeds.
    """
    final = path(name, key)
    final.parent.mkdir(parents=True, exist_ok=True)
    unfinished = final.with_suffix(".partial")
    unfinished.unlink(missing_ok=True)
    try:
        yield unfinished
        unfinished.replace(final)
    finally:
        unfinished.unlink(missing_ok=True)
    prune(name)


def prune(name: str, kept: int = KEPT) -> None:
    """Delete all but the most recently used archives of an image."""
    by_use = sorted(_of(name), key=lambda archive: archive.stat().st_mtime_ns, reverse=True)
    for archive in by_use[kept:]:
        archive.unlink(missing_ok=True)


def _of(name: str) -> Iterator[Path]:
    return folder().glob(f"{name}-{'[0-9a-f]' * 16}.tar")
