import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from purpleflea_sandbox.cluster import waiting

Report = dict[str, dict[str, Any]]


def unit(name: str, code: str, **keywords: object) -> dict[str, object]:
    argv = [sys.executable, "-c", code]
    return {
        "name": name,
        "argv": argv,
        "after": [],
        "once": False,
        "wants_listener": False,
    } | keywords


@contextmanager
def supervisor(folder: Path, units: Sequence[dict[str, object]]) -> Iterator[Callable[[], Report]]:
    plan = folder / "plan.json"
    report = folder / "units.json"
    environment = {"PATH": os.environ["PATH"], "MARK": "inside"}
    content = {
        "units": list(units),
        "logs": str(folder),
        "report": str(report),
        "environment": environment,
    }
    plan.write_text(json.dumps(content))
    argv = [sys.executable, "-P", "-m", "purpleflea_sandbox.cluster.supervisor", str(plan)]
    with subprocess.Popen(argv, start_new_session=True) as process:
        try:
            yield lambda: json.loads(report.read_text()) if report.exists() else {}
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def wait_for(condition: Callable[[], bool]) -> None:
    assert waiting.until(condition, timeout_s=180.0)


def phase(report: Report, name: str) -> str | None:
    return report.get(name, {}).get("phase")


def test_daemons_run_with_their_environment_and_log(tmp_path: Path) -> None:
    code = "import os, time; print(os.environ['MARK'], flush=True); time.sleep(600)"
    with supervisor(tmp_path, [unit("daemon", code)]):
        wait_for(lambda: (tmp_path / "daemon.log").exists())
        wait_for(lambda: (tmp_path / "daemon.log").read_text() == "inside\n")


def test_a_killed_daemon_is_restarted(tmp_path: Path) -> None:
    with supervisor(tmp_path, [unit("daemon", "import time; time.sleep(600)")]) as report:
        wait_for(lambda: phase(report(), "daemon") == "running")
        first = report()["daemon"]["pid"]

        os.kill(first, signal.SIGKILL)

        wait_for(lambda: report()["daemon"]["pid"] not in (0, first))
        assert report()["daemon"]["deaths"] == 1


def test_a_daemon_starts_after_the_once_unit_it_waits_for(tmp_path: Path) -> None:
    mark = tmp_path / "made"
    setup = unit("setup", f"open({str(mark)!r}, 'x')", once=True)
    check = f"import os, time; os.stat({str(mark)!r}); print('seen', flush=True); time.sleep(600)"
    with supervisor(tmp_path, [unit("daemon", check, after=["setup"]), setup]) as report:
        wait_for(lambda: phase(report(), "daemon") == "running")
        wait_for(lambda: "seen" in (tmp_path / "daemon.log").read_text())
        assert report()["daemon"]["deaths"] == 0


def test_a_missing_program_is_reported_and_retried(tmp_path: Path) -> None:
    missing = unit("daemon", "") | {"argv": [str(tmp_path / "missing")]}
    with supervisor(tmp_path, [missing]) as report:
        wait_for(lambda: report().get("daemon", {}).get("deaths", 0) >= 2)


def is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


UNITS = {
    "that obeys": "import time; time.sleep(600)",
    "that ignores signals": "import signal, time\n"
    "for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):\n"
    "    signal.signal(number, signal.SIG_IGN)\n"
    "print('ready', flush=True); time.sleep(600)",
    "that is stopped": "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)",
    "that is restarted": "raise SystemExit(1)",
}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("code", UNITS.values(), ids=UNITS)
def test_the_supervisor_ends_on_sigterm_and_sigint_with_its_units(
    tmp_path: Path, number: signal.Signals, code: str
) -> None:
    described = [unit("daemon", UNITS["that obeys"]), unit("other", code)]
    with supervisor(tmp_path, described) as report:
        wait_for(lambda: phase(report(), "daemon") == "running" and "other" in report())
        leader = os.getpgid(report()["daemon"]["pid"])

        os.kill(leader, number)

        wait_for(lambda: Path(f"/proc/{leader}/stat").read_text().split(") ")[1].startswith("Z"))
        assert all(is_gone(item["pid"]) for item in report().values() if item["pid"])
