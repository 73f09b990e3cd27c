"""Reads the unit report of a supervisor.

A unit that keeps failing becomes an error that names its log file.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from purpleflea_sandbox.cluster.errors import ClusterError, with_log

# A daemon may exit a few times while its dependencies are still starting.
_TOLERATED_DEATHS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Reports:
    """Report file of one supervisor and the log folder of its units."""

    report: Path
    logs: Path

    def units(self) -> dict[str, dict[str, Any]]:
        try:
            report: dict[str, dict[str, Any]] = json.loads(self.report.read_text())
        except (OSError, ValueError):
            return {}
        return report

    def phase(self, unit: str) -> str:
        phase: str = self.units().get(unit, {}).get("phase", "waiting")
        return phase

    def check(self) -> None:
        """Raise ClusterError for the first unit that failed or exits repeatedly."""
        for name, unit in self.units().items():
            if unit["phase"] == "failed":
                raise self.error(f"{name} failed (exit code {unit['last_exit']})", name)
            if unit["deaths"] >= _TOLERATED_DEATHS:
                raise self.error(
                    f"{name} exited {unit['deaths']} times (last exit code {unit['last_exit']})",
                    name,
                )

    def error(self, message: str, unit: str) -> ClusterError:
        return with_log(message, self.logs / f"{unit}.log")

    def pids(self) -> dict[str, int]:
        """Return the inner pid of every running unit."""
        return {name: unit["pid"] for name, unit in self.units().items() if unit["pid"] > 0}
