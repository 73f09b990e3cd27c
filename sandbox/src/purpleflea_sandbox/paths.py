"""Folders of the sandbox: the checkout, the cache, and the state of running clusters (XDG folders).

The cache may be deleted at any time; only build time is lost. This module creates no folder and
does not depend on the cluster package.
"""

import os
from pathlib import Path

_MARK = Path("sandbox") / "pyproject.toml"


def checkout(start: Path | None = None) -> Path:
    """Return the checkout that contains the current folder, or else the checkout that contains this
    package.
    """
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents, *Path(__file__).resolve().parents):
        if (folder / _MARK).is_file():
            return folder
    return here


def cache() -> Path:
    return _xdg("XDG_CACHE_HOME", ".cache")


def state() -> Path:
    return _xdg("XDG_STATE_HOME", ".local/state")


def _xdg(variable: str, default: str) -> Path:
    base = os.environ.get(variable, "")
    # The XDG specification requires that a relative value is ignored.
    root = Path(base) if base.startswith("/") else Path.home() / default
    return root / "purpleflea"
