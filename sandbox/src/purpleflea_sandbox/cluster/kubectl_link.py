"""Puts a kubectl that fits the cluster into the checkout: `.sandbox/bin/kubectl`, a link to the
cached program."""

import os
from pathlib import Path


def link(sandbox: Path, kubectl: Path) -> Path:
    """Make or renew the link."""
    place = sandbox / "bin" / "kubectl"
    place.parent.mkdir(parents=True, exist_ok=True)
    unfinished = place.with_name(f".kubectl.{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    unfinished.symlink_to(kubectl)
    unfinished.rename(place)
    return place
