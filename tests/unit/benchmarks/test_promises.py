import pytest
from benchmarks.scale.promises import creation, growth, promises

from support.benchmark_runs import a_latency, a_phase, a_run, raw


def verdicts(*runs):
    """Return the verdict of each promise by its measurement."""
    return {row.measurement: row.is_met for row in promises(runs)}


def created(*phases, **changes):
    """Return a run whose creation succeeded, with these further phases."""
    return a_run(a_phase(), *phases, **changes)


def verdict(text, *runs):
    """Return the verdict of the only promise whose measurement contains the text."""
    (found,) = (is_met for name, is_met in verdicts(*runs).items() if text in name)
    return found


@pytest.mark.parametrize(("seconds", "is_met"), [(40.0, True), (41.0, False)])
def test_agents_are_created_at_half_of_the_raw_rate(seconds, is_met):
    run = a_run(a_phase(seconds=seconds))
    assert verdict("created, in relation to raw", raw(20.0), run) is is_met


@pytest.mark.parametrize(("cpu_s", "is_met"), [(44.0, True), (45.0, False)])
def test_the_api_server_spends_twice_the_cpu_time_of_raw_stateful_sets(cpu_s, is_met):
    run = a_run(a_phase(cpu_s={"API server": cpu_s, "operator": 1.0}))
    assert verdict("CPU of the API server", raw(api_cpu_s=22.0), run) is is_met


@pytest.mark.parametrize(("cpu_s", "is_met"), [(12.0, True), (12.5, False)])
def test_the_operator_spends_12_ms_per_agent(cpu_s, is_met):
    run = a_run(a_phase(cpu_s={"API server": 1.0, "operator": cpu_s}))
    assert verdict("CPU of the operator per agent", run) is is_met


@pytest.mark.parametrize(
    ("agents", "peak_mib", "is_met"),
    [
        (1000, 200, True),
        (1000, 201, False),
        (10_000, 256, True),
        (10_000, 257, False),
        (100, 999, None),
    ],
)
def test_the_peak_of_memory_is_promised_for_two_sizes(agents, peak_mib, is_met):
    run = a_run(a_phase(peak_mib=10), a_phase("restart", peak_mib=peak_mib), agents=agents)
    assert verdict("largest memory", run) is is_met


def test_the_worst_phase_counts_for_the_event_loop_lag():
    run = a_run(a_phase(own_lag_p99_s=0.01), a_phase("restart", own_lag_p99_s=0.06))
    assert verdict("event-loop lag", run) is False
    assert verdict("event-loop lag", a_run(a_phase(own_lag_p99_s=0.049))) is True


def test_a_wait_for_a_processor_breaks_no_promise():
    assert verdict("event-loop lag", a_run(a_phase(lag_p99_s=0.4, own_lag_p99_s=0.04))) is True


@pytest.mark.parametrize(
    ("waited_s", "reported"),
    [
        (None, "60 ms (create)"),
        (0.9, "60 ms (create)"),
        (25.4, "60 ms (create; 400 ms with 25 of 40 s of waits for a processor)"),
    ],
)
def test_the_wait_for_a_processor_is_reported_beside_the_lag(waited_s, reported):
    rows = promises([a_run(a_phase(lag_p99_s=0.4, own_lag_p99_s=0.06, waited_s=waited_s))])
    assert reported in [row.result for row in rows]


@pytest.mark.parametrize("name", ["idle", "restart", "restart after halts"])
def test_an_idle_or_restarted_operator_writes_nothing(name):
    written = a_phase(name, requests={"patch purplefleaagents/status": 1, "list pods": 9})
    assert verdict(f"{name}: writes", created(written)) is False
    assert verdict(f"{name}: writes", created(a_phase(name, requests={"list pods": 9}))) is True


@pytest.mark.parametrize("name", ["halt one", "halt one in a storm"])
@pytest.mark.parametrize(("seconds", "is_met"), [(0.99, True), (1.0, False)])
def test_a_halt_of_one_agent_is_written_within_a_second(name, seconds, is_met):
    latencies = {"written": a_latency(seconds), "acknowledged": a_latency(9.0)}
    assert verdict(f"{name}: p99", created(a_phase(name, latencies=latencies))) is is_met


def test_one_resource_halts_1000_agents_within_its_bounds():
    latencies = {"written": a_latency(9.9), "acknowledged": a_latency(30.0)}
    run = created(a_phase("halt all by one resource", latencies=latencies))
    assert verdict("all written", run) is True
    assert verdict("all acknowledged", run) is False


def test_a_halt_of_all_agents_is_only_reported_at_other_sizes():
    latencies = {"written": a_latency(99.0), "acknowledged": a_latency(99.0)}
    run = created(a_phase("halt all by one resource", latencies=latencies), agents=10_000)
    assert verdict("all written", run) is None


@pytest.mark.parametrize(("seconds", "is_met"), [(15.0, True), (15.1, False)])
def test_a_standby_serves_a_halt_15_s_after_the_leader_was_killed(seconds, is_met):
    run = created(a_phase("takeover", latencies={"written": a_latency(seconds)}))
    assert verdict("kill -9", run) is is_met


def test_the_mean_of_two_raw_runs_counts():
    found = creation([raw(10.0), raw(30.0)], "raw", 1000)
    assert found.per_s == 50.0


def test_a_variant_that_was_not_measured_has_no_creation():
    assert creation([raw()], "baseline", 1000) is None


def test_growth_needs_more_than_one_size():
    small = a_run(a_phase(seconds=4.0), agents=100)
    large = a_run(a_phase(seconds=40.0), agents=1000)
    assert growth([small]) == {}
    assert growth([small, large])["seconds until all are Ready"].slope == pytest.approx(0.04)
    assert verdict("growth: seconds", small, large) is True


def test_a_failed_phase_is_a_missed_promise():
    run = created(failure="halt all: timeout")
    assert verdict("all phases complete", run) is False
    assert verdict("largest memory", run) is True


def test_a_run_whose_creation_failed_meets_no_promise():
    assert verdicts(a_run(failure="create: timeout"), raw()) == {
        "1,000 agents: all phases complete": False
    }
