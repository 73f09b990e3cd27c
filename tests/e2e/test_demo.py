import re
import subprocess
import sys

import pytest

from purpleflea_sandbox.cluster import providers

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]


def demo(repository, *arguments):
    command = [sys.executable, "-m", "purpleflea_sandbox", "demo", *arguments]
    return subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)


@pytest.fixture
def a_real_cluster():
    if providers.provider("e2e-demo", "auto").name == "simulated":
        pytest.skip("a real cluster needs root or a Docker engine")


@pytest.mark.usefixtures("a_real_cluster")
def test_the_demo_runs_a_trading_fleet_is_repeatable_and_cleans_up(repository):
    name = "--name=e2e-demo"
    try:
        first = demo(repository, "up", name)
        assert first.returncode == 0, first.stderr
        rows = re.findall(
            r"(momentum-\d)\s+(\d+)\s+([+-][\d.]+)\s+([0-9a-f]{32})\s+(\S.*)", first.stdout
        )
        assert [row[0] for row in rows] == ["momentum-0", "momentum-1", "momentum-2"], first.stdout
        assert all(int(row[1]) > 0 for row in rows)
        assert "simulated  Purple Flea: a paper exchange, no real money" in first.stdout
        assert re.search(r"fleet page +http://127\.0\.0\.1:\d+/fleet\n", first.stdout)
        again = demo(repository, "up", name)
        assert again.returncode == 0, again.stderr
        assert "is already running" in again.stderr
    finally:
        ended = demo(repository, "down", name)
    assert ended.returncode == 0, ended.stderr
    assert "nothing to remove" in demo(repository, "down", name).stderr
    assert not (repository / ".sandbox" / "e2e-demo.kubeconfig").exists()


def test_without_root_and_docker_the_demo_lists_simulated_components(repository):
    arguments = ("--name=e2e-sim", "--provider=simulated")
    try:
        shown = demo(repository, "up", *arguments)
        assert shown.returncode == 0, shown.stderr
        assert "READY above is simulated" in shown.stdout
        assert re.search(r"trading\s+momentum\s+momentum\s+3\s+3", shown.stdout)
        handle = repository / ".sandbox" / "e2e-sim.operator.pid"
        assert handle.exists()
        pid = int(re.search(r'"pid": (\d+)', handle.read_text()).group(1))
    finally:
        ended = demo(repository, "down", *arguments)
    assert ended.returncode == 0, ended.stderr
    assert not running(pid)


def running(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
