from kubectl_purpleflea import output
from kubectl_purpleflea.decisions.fleet import fleet, pod_state
from kubectl_purpleflea.views.fleet import SHOWN, tree
from kubectl_purpleflea.views.text import styled, table
from support.builders import a_pod, an_agent


def reported(name, *conditions, **changes):
    found = [
        {"type": kind, "status": "False", "reason": reason, "message": message}
        for kind, reason, message in conditions
    ]
    agent = {**an_agent(name, **changes), "status": {"conditions": found, "readyReplicas": 1}}
    agent["metadata"]["uid"] = f"uid-{name}"
    return agent


HEALTHY = ("WorkloadAvailable", "AllReady", "1/1")
BROKEN = ("WorkloadAvailable", "CrashLooping", "b-0 crashes; see kubectl logs --previous b-0")
STARTING = ("WorkloadAvailable", "Progressing", "0/1")


def lines_of(agents, pods=(), sets=(), drawdowns=None, **more):
    return [item.plain for item in tree(fleet(agents, sets, list(pods), drawdowns), **more)]


def test_agents_with_problems_come_first():
    agents = [
        reported("a", HEALTHY),
        reported("c", BROKEN),
        reported("d", STARTING),
        reported("b", ("StorageReady", "Ephemeral", "chosen"), HEALTHY),
    ]
    lines = lines_of(agents)
    heads = [line for line in lines if line[0] in "✗…✓"]
    assert [line.split()[1] for line in heads] == [
        "trading/c",
        "trading/d",
        "trading/a",
        "trading/b",
    ]
    assert lines[0] == "4 agents, 4/4 identities ready, 1 with problems"
    assert f"  WorkloadAvailable/CrashLooping: {BROKEN[2]}" in lines


def test_the_tree_has_mode_rollout_connection_and_limits():
    agent = reported("momentum", HEALTHY, replicas=3, risk={"maxDrawdownPct": 7})
    agent["status"] |= {
        "updatedReplicas": 1,
        "trading": {
            "mode": "Halted",
            "changedBy": "PurpleFleaHalt trading/incident",
            "reason": "prices",
            "running": 3,
            "acknowledged": 2,
        },
        "datadog": {"dogstatsd": "$(HOST_IP):8125", "apm": "Off", "logs": "On"},
    }
    strategy = {"rollingUpdate": {"partition": 2}}
    metadata = {"name": "momentum", "namespace": "trading"}
    sets = [{"metadata": metadata, "spec": {"updateStrategy": strategy}}]
    pods = [a_pod("momentum-10"), a_pod("momentum-2"), a_pod("momentum-1", ready=False, restarts=4)]
    lines = lines_of([agent], pods, sets, {"trading/momentum-2": "1.50"}, wide=True)
    assert lines[1].endswith("Halted (2/3 acknowledged) by PurpleFleaHalt trading/incident: prices")
    assert "1/3 ready, 1/3 updated, partition 2" in lines[2]
    assert "drawdown 7 %" in lines[2]
    assert lines[3] == "  metrics $(HOST_IP):8125, traces Off, logs On"
    names = [line.split()[1] for line in lines[4:]]
    assert names == ["momentum-1", "momentum-2", "momentum-10"]
    assert "4 restarts" in lines[4]
    assert "drawdown 1.50 %" in lines[5]
    assert lines[6].endswith("node-1")


def test_an_agent_without_a_status_is_a_problem_and_odd_values_are_no_error():
    agent = {**an_agent(), "status": {"conditions": [], "trading": "x", "datadog": None}}
    agent["spec"] |= {"risk": None, "replicas": None, "trading": []}
    (found,) = fleet([agent], [], [])
    assert (found.severity, found.mode, found.acknowledged) == (0, "Active", "")


def test_many_identities_are_cut():
    pods = [a_pod(f"momentum-{number}") for number in range(SHOWN + 3)]
    assert lines_of([reported("momentum", HEALTHY)], pods)[-1] == "  … and 3 more"


def test_the_state_of_a_pod_is_the_one_of_kubectl():
    assert pod_state(a_pod(waiting="CrashLoopBackOff")) == "CrashLoopBackOff"
    assert pod_state(a_pod(deleting=True)) == "Terminating"
    assert pod_state(a_pod(node="", message="no node")) == "Unschedulable"
    assert pod_state(a_pod(node="")) == "Pending"
    assert pod_state(a_pod()) == "Running"


def test_columns_are_aligned_and_control_characters_are_replaced():
    lines = table([["a", styled("bcd", "red"), "e"], ["abc", "d", "f"]])
    assert [line.plain for line in lines] == ["a     bcd   e", "abc   d     f"]
    assert output.printable("a\x1b[31mb\n") == "a�[31mb\n"


def test_colors_are_used_only_on_a_terminal(monkeypatch):
    class Terminal:
        @staticmethod
        def isatty():
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert output.has_color(Terminal())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not output.has_color(Terminal())
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert not output.has_color(Terminal())
