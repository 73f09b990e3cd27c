"""Reads what a supervisor reports about its units, and turns a unit that cannot live into an
error that names its log file."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from purpleflea_sandbox.cluster.errors import ClusterError, with_log

# A daemon may die while what it needs is still starting; not so often.
_TOLERATED_DEATHS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Reports:
    """The report file of one supervisor, and the folder of the logs of its units."""

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
        """Raise for the first unit that failed or dies again and again."""
        for name, unit in self.units().items():
            if unit["phase"] == "failed":
                raise self.error(f"{name} failed (exit {unit['last_exit']})", name)
            if unit["deaths"] >= _TOLERATED_DEATHS:
                raise self.error(
                    f"{name} died {unit['deaths']} times (last exit {unit['last_exit']})", name
                )

    def error(self, message: str, unit: str) -> ClusterError:
        return with_log(message, self.logs / f"{unit}.log")

    def pids(self) -> dict[str, int]:
        """Inner pid of every unit that runs."""
        return {name: unit["pid"] for name, unit in self.units().items() if unit["pid"] > 0}
