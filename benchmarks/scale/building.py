"""Builds the programs of the benchmark before it enters its network namespace."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.scale.results import Variant
from purpleflea_sandbox.cluster import binaries, build_specs, gobuild
from purpleflea_sandbox.cluster.build_specs import BuildSpec
from purpleflea_sandbox.cluster.progress import Progress

SOURCES = Path(__file__).parents[1] / "baseline"
BASELINE = Path(__file__).parents[2] / ".sandbox" / "baseline"
"""The program; Go's build cache makes another build fast."""


def ensure(variants: Sequence[Variant], progress: Progress) -> None:
    """Build the control plane, and the baseline if it is measured."""
    binaries.ensure(build_specs.SIMULATED, progress)
    if "baseline" in variants:
        spec = _Baseline(name="baseline", module="baseline", package=".", expected_s=90)
        gobuild.build([(spec, BASELINE)], progress)


class _Baseline(BuildSpec):
    """The baseline is not a program of a cluster, so its module is not among theirs."""

    @property
    def folder(self) -> Path:
        return SOURCES
