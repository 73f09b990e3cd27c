"""Locates the programs of a cluster.

The lookup sequence is $PURPLEFLEA_KUBE_BIN, then the cache, then a build from the pinned Go
modules. The cache key contains the version and the go.sum file that pins the sources, and a program
is added to the cache only when it is complete. The build itself is implemented in `gobuild`.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from purpleflea_sandbox import paths
from purpleflea_sandbox.cluster import gobuild, locks
from purpleflea_sandbox.cluster.build_specs import BUILD_SPECS, KUBERNETES, BuildSpec
from purpleflea_sandbox.cluster.errors import ClusterError
from purpleflea_sandbox.cluster.progress import Progress

VARIABLE = "PURPLEFLEA_KUBE_BIN"
_BUILD_LIMIT_S = 3600.0


class Source(Protocol):
    """Location that may contain prebuilt programs (a download of official releases could be added
    as another).
    """

    def find(self, spec: BuildSpec) -> Path | None: ...


class Folder:
    """Folder of prebuilt programs that the user configured."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def find(self, spec: BuildSpec) -> Path | None:
        path = self._root / spec.name
        return path if os.access(path, os.X_OK) and path.is_file() else None


class Cache:
    """Cache of the programs that earlier runs built."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, spec: BuildSpec) -> Path:
        return self._root / KUBERNETES / f"{spec.module}-{_pin(spec)}" / spec.name

    def find(self, spec: BuildSpec) -> Path | None:
        path = self.path(spec)
        return path if path.is_file() else None


def ensure(names: Sequence[str], progress: Progress) -> Mapping[str, Path]:
    """Return the path of every named program, and build the programs that no source contains."""
    programs = built(names)
    if len(programs) < len(names):
        cache = Cache(paths.cache() / "bin")
        # The lock prevents two concurrent runs from building the same program: the second run waits
        # and then reads the cache.
        with locks.held(
            paths.cache() / "locks" / "build", timeout_s=_BUILD_LIMIT_S, what="the build"
        ):
            programs = built(names)
            missing = [BUILD_SPECS[name] for name in names if name not in programs]
            gobuild.build([(spec, cache.path(spec)) for spec in missing], progress)
            programs = built(names)
    return programs


def built(names: Sequence[str]) -> Mapping[str, Path]:
    """Return the paths of the named programs that exist; this builds none."""
    sources = (*_configured_folder(), Cache(paths.cache() / "bin"))
    programs = {name: _first(sources, BUILD_SPECS[name]) for name in names}
    return {name: path for name, path in programs.items() if path is not None}


def _configured_folder() -> tuple[Source, ...]:
    named = os.environ.get(VARIABLE)
    if not named:
        return ()
    if not Path(named).is_dir():
        raise ClusterError(
            f"{VARIABLE} is set to {named}, which is not a folder; correct it or unset it"
        )
    return (Folder(Path(named)),)


def _first(sources: Sequence[Source], spec: BuildSpec) -> Path | None:
    return next((path for source in sources if (path := source.find(spec)) is not None), None)


def _pin(spec: BuildSpec) -> str:
    digest = hashlib.sha256(" ".join((spec.ldflags, *spec.tags)).encode())
    for file in sorted(spec.folder.iterdir()):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]
