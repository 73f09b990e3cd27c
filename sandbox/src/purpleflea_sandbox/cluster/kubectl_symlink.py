"""Adds a kubectl of the cluster's version to the checkout: `.sandbox/bin/kubectl`, a symbolic link
to the cached program.
"""

import os
from pathlib import Path


def link(sandbox: Path, kubectl: Path) -> Path:
    """Create or replace the link."""
    target = sandbox / "bin" / "kubectl"
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".kubectl.{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    unfinished.symlink_to(kubectl)
    unfinished.rename(target)
    return target
