"""Where the sandbox keeps things: the checkout, the cache (may be deleted at any time, costs only
time) and the state of what runs (XDG folders). Knows no cluster and creates nothing."""

import os
from pathlib import Path

_MARK = Path("sandbox") / "pyproject.toml"


def checkout(start: Path | None = None) -> Path:
    """The checkout that is worked in: the one around the current folder, else the one this package lies in."""
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
    # The XDG rules: a relative value is to be ignored.
    root = Path(base) if base.startswith("/") else Path.home() / default
    return root / "purpleflea"
