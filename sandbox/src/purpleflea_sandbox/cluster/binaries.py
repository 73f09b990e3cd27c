"""Finds the programs of a cluster: in $PURPLEFLEA_KUBE_BIN, in the cache, else built from the
pinned Go modules. The cache is keyed by version and by the go.sum that pins the sources; a
program appears there complete or not at all. How a build runs is `gobuild`'s business."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from purpleflea_sandbox import paths
from purpleflea_sandbox.cluster import gobuild, locks
from purpleflea_sandbox.cluster.errors import ClusterError
from purpleflea_sandbox.cluster.progress import Progress
from purpleflea_sandbox.cluster.recipes import KUBERNETES, RECIPES, Recipe

VARIABLE = "PURPLEFLEA_KUBE_BIN"
_BUILD_LIMIT_S = 3600.0


class Source(Protocol):
    """A place where ready-made programs may be (a download of official releases would be one more)."""

    def find(self, recipe: Recipe) -> Path | None: ...


class Folder:
    """A folder of ready-made programs that the user names."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def find(self, recipe: Recipe) -> Path | None:
        path = self._root / recipe.name
        return path if os.access(path, os.X_OK) and path.is_file() else None


class Cache:
    """What earlier runs built."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def place(self, recipe: Recipe) -> Path:
        return self._root / KUBERNETES / f"{recipe.module}-{_pin(recipe)}" / recipe.name

    def find(self, recipe: Recipe) -> Path | None:
        path = self.place(recipe)
        return path if path.is_file() else None


def ensure(names: Sequence[str], progress: Progress) -> Mapping[str, Path]:
    """The path of every named program; what is nowhere to be found is built."""
    cache = Cache(paths.cache() / "bin")
    sources = (*_named_folder(), cache)
    found = {name: _first(sources, RECIPES[name]) for name in names}
    if any(path is None for path in found.values()):
        # Two runs at once must not build the same thing twice: the second waits, then finds it.
        with locks.held(
            paths.cache() / "locks" / "build", timeout_s=_BUILD_LIMIT_S, what="the build"
        ):
            missing = [RECIPES[name] for name in names if _first(sources, RECIPES[name]) is None]
            gobuild.build([(recipe, cache.place(recipe)) for recipe in missing], progress)
            found = {name: _first(sources, RECIPES[name]) for name in names}
    return {name: path for name, path in found.items() if path is not None}


def _named_folder() -> tuple[Source, ...]:
    named = os.environ.get(VARIABLE)
    if not named:
        return ()
    if not Path(named).is_dir():
        raise ClusterError(f"{VARIABLE} names {named}, which is no folder; correct it or unset it")
    return (Folder(Path(named)),)


def _first(sources: Sequence[Source], recipe: Recipe) -> Path | None:
    return next((path for source in sources if (path := source.find(recipe)) is not None), None)


def _pin(recipe: Recipe) -> str:
    digest = hashlib.sha256(recipe.ldflags.encode())
    for file in sorted(recipe.folder.iterdir()):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]
