"""The HCL formatter that `terraform fmt` uses, built once from a pinned Go module.

Terraform itself is not available from a package registry. The few other rules of `terraform fmt` are tested with the
generator.
"""

import hashlib
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from purpleflea_sandbox import paths
from purpleflea_sandbox.cluster import gobuild, locks
from purpleflea_sandbox.cluster.build_specs import BuildSpec
from purpleflea_sandbox.cluster.progress import NullProgress

MODULE = Path(__file__).parent / "hclfmt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool(BuildSpec):
    """A program of the tests, with its module in tests/support."""

    @property
    def folder(self) -> Path:
        return MODULE.parent / self.module


HCLFMT = Tool(
    name="hclfmt",
    module="hclfmt",
    package="github.com/hashicorp/hcl/v2/cmd/hclfmt",
    expected_s=25,
)


def program() -> Path:
    """Return the formatter; build it if it is not cached."""
    pin = hashlib.sha256((MODULE / "go.sum").read_bytes()).hexdigest()[:12]
    target = paths.cache() / "bin" / f"hclfmt-{pin}" / "hclfmt"
    with locks.held(paths.cache() / "locks" / "hclfmt", timeout_s=240, what="the formatter"):
        if not target.is_file():
            gobuild.build([(HCLFMT, target)], NullProgress())
    return target


def unformatted(files: Iterable[Path]) -> list[str]:
    """Return the names of files that the formatter would change."""
    formatter = program()
    return [path.name for path in files if not _is_formatted(formatter, path)]


def _is_formatted(formatter: Path, path: Path) -> bool:
    command = [str(formatter), "-require-no-change", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode == 0
