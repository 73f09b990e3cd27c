"""The formatter of HCL that `terraform fmt` is made of, built once from a Go module whose sources go.sum pins.

Terraform itself is on no package registry. What it does beyond this is little, and tested beside the generator.
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
    """A program of the tests: its module lies beside them."""

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
    """The formatter, built where the cache does not have it."""
    pin = hashlib.sha256((MODULE / "go.sum").read_bytes()).hexdigest()[:12]
    place = paths.cache() / "bin" / f"hclfmt-{pin}" / "hclfmt"
    with locks.held(paths.cache() / "locks" / "hclfmt", timeout_s=240, what="the formatter"):
        if not place.is_file():
            gobuild.build([(HCLFMT, place)], NullProgress())
    return place


def unformatted(files: Iterable[Path]) -> list[str]:
    """Names of files that it would write otherwise."""
    formatter = program()
    return [path.name for path in files if not _is_formatted(formatter, path)]


def _is_formatted(formatter: Path, path: Path) -> bool:
    command = [str(formatter), "-require-no-change", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode == 0
