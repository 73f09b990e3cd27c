"""All faults at once: no order twice, no limit passed, every halt in time, and books that agree at the end."""

from pathlib import Path

import pytest

from support.chaos import report
from support.chaos.plan import EVENTS, Plan
from support.chaos.run import run, run_groups

REPORT = "docs/benchmarks/chaos-agent.md"
FULL = Plan()
SHORT = Plan(agents=4, operations=40, ephemeral=1, event_every_s=8.0, fault_share=0.25)


@pytest.mark.timeout(7_200)
def test_no_invariant_is_violated_under_all_faults(
    is_full_run: bool, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def progress(line: str) -> None:
        with capsys.disabled():
            print(f"chaos: {line}", flush=True)

    result = run_groups(FULL, size=2, progress=progress) if is_full_run else run(SHORT)
    if is_full_run:
        report.write(repository / REPORT, result)
        assert set(EVENTS) <= result.events.keys()
    assert [str(item) for item in result.violations] == []
    assert result.operations == result.plan.agents * result.plan.operations
    assert sum(result.faults.values()) > result.operations / 4
    assert sum(result.events.values()) > result.plan.agents
