from purpleflea_operator.controllers.agent.watched_kinds import WATCHED
from support.apiserver.server import ApiServer
from support.builders import a_datadog_daemon_set, an_agent
from support.waiting import wait_for

# All kinds for agents, PurpleFleaObservability and PurpleFleaHalt, without DatadogInstrumentation, which is off.
WATCHES = len(WATCHED) + 1

NS, NAME = "trading", "momentum"


def is_ready(server, name=NAME):
    status = server.get("PurpleFleaAgent", NS, name).get("status", {})
    conditions = {item["type"]: item["status"] for item in status.get("conditions", [])}
    return conditions.get("Ready") == "True"


def test_livez_fails_and_names_a_stalled_watch(an_operator, ask, port):
    with (
        ApiServer(bookmark_interval_s=0.2) as server,
        an_operator(server, health_port=port, watch_silence_s=2.0),
    ):
        server.wait_until(lambda: server.open_watches() == WATCHES)
        wait_for(lambda: ask("/livez") == (200, "ok"))
        server.stall_watches("pods", also_new=True)
        code, text = wait_for(lambda: response if (response := ask("/livez"))[0] != 200 else None)
        assert code == 500
        assert text.startswith("stalled watch: no event or bookmark of pods for ")
        # A stream that is opened again and stalls again does not make the probe pass.
        server.drop_watches("pods")
        server.wait_until(lambda: server.open_watches() == WATCHES)
        assert ask("/livez")[0] == 500
        server.stop_stalling_new_watches()
        server.drop_watches("pods")
        wait_for(lambda: ask("/livez") == (200, "ok"))


def test_livez_fails_if_the_queue_is_stuck(server, an_operator, ask, port):
    now = [0.0]
    server.put(an_agent())
    stuck = server.hang(verb="create", resource="configmaps", times=None)
    settings = {"health_port": port, "workers": 1, "watch_silence_s": 3600}
    with an_operator(clock=lambda: now[0], **settings):
        server.wait_until(lambda: stuck.hits == 1)
        server.put(an_agent("next", uid="uid-next"))
        wait_for(lambda: "purpleflea_operator_queue_depth 1.0" in ask("/metrics")[1])
        now[0] += 170
        assert ask("/livez") == (200, "ok")
        now[0] += 11
        assert ask("/livez") == (500, "stuck queue: a reconcile has been running for 181 s")
        assert "purpleflea_operator_queue_oldest_seconds 181.0" in ask("/metrics")[1]
        stuck.cancel()
        server.wait_until(lambda: is_ready(server, "next"))
        assert ask("/livez") == (200, "ok")


def test_livez_fails_if_the_control_lane_is_stuck(server, an_operator, ask, port):
    now = [0.0]
    server.put(a_datadog_daemon_set(host_ports=True))
    server.put(an_agent())
    settings = {"health_port": port, "watch_silence_s": 3600}
    with an_operator(clock=lambda: now[0], **settings):
        server.wait_until(lambda: is_ready(server))
        stuck = server.hang(verb="patch", resource="configmaps", times=None)
        server.patch("PurpleFleaAgent", NS, NAME, {"spec": {"trading": {"mode": "Halted"}}})
        server.wait_until(lambda: stuck.hits == 1)
        now[0] += 181
        code, text = ask("/livez")
        assert code == 500
        assert "stuck control queue: a reconcile has been running for 181 s" in text
        stuck.cancel()


def test_watches_without_any_bytes_are_stalled(an_operator, ask, port):
    now = [0.0]
    with (
        ApiServer(bookmark_interval_s=0.2) as server,
        an_operator(server, health_port=port, clock=lambda: now[0]),
    ):
        server.wait_until(lambda: server.open_watches() == WATCHES)
        server.stall_watches(also_new=True)

        def all_stalled():
            # Bytes that were in flight when the streams stalled count as received when the probe runs.
            now[0] += 181
            code, text = ask("/livez")
            return text if code == 500 and text.count(" for 181 s") == WATCHES else None

        assert "purplefleaagents for 181 s" in wait_for(all_stalled)


def test_bookmarks_alone_keep_livez_healthy(an_operator, ask, port):
    with (
        ApiServer(bookmark_interval_s=0.2) as server,
        an_operator(server, health_port=port, watch_silence_s=1.0),
    ):
        server.wait_until(lambda: server.open_watches() == WATCHES)
        metric = "purpleflea_operator_watch_silence_seconds "
        measured = []

        def is_measured_100_times():
            text = ask("/metrics")[1]
            (line,) = [line for line in text.splitlines() if line.startswith(metric)]
            measured.append(float(line.removeprefix(metric)))
            return len(measured) > 100

        wait_for(is_measured_100_times)
        assert max(measured[10:]) < 1.0
        assert ask("/livez") == (200, "ok")


def test_livez_is_healthy_while_the_api_server_fails(an_operator, ask, port):
    with (
        ApiServer(bookmark_interval_s=0.2) as server,
        an_operator(server, health_port=port, watch_silence_s=6.0),
    ):
        server.wait_until(lambda: server.open_watches() == WATCHES)
        refused = server.fail_next(verb="watch", status=503, times=None)
        server.drop_watches(cut=True)
        server.wait_until(lambda: refused.hits > 12, timeout=30)
        assert ask("/livez") == (200, "ok")


def test_leader_and_standby_are_ready_and_report_the_leader(server, an_operator, ask, port):
    server.put(a_datadog_daemon_set(host_ports=True))
    server.put(an_agent())
    elected = {"lease_namespace": "system", "lease_s": 3}
    with an_operator(**elected) as other:
        server.wait_until(lambda: is_ready(server))
        with an_operator(health_port=port, **elected):
            wait_for(lambda: ask("/readyz") == (200, "ok"))
            assert "purpleflea_operator_leader 0.0" in ask("/metrics")[1]
            other.stop()
            wait_for(lambda: "purpleflea_operator_leader 1.0" in ask("/metrics")[1])
            wait_for(lambda: ask("/readyz") == (200, "ok"))


def test_a_standby_that_cannot_read_the_lease_is_alive_but_not_ready(
    server, an_operator, ask, port
):
    server.fail_next(resource="leases", status=503, times=None)
    with an_operator(health_port=port, lease_namespace="system"):
        wait_for(lambda: ask("/readyz") == (503, "the lease cannot be read from the API server"))
        assert ask("/livez") == (200, "ok")


def test_the_metrics_count_requests_passes_and_agents(server, an_operator, ask, port):
    server.put(a_datadog_daemon_set(host_ports=True))
    server.put(an_agent())
    with an_operator(health_port=port):
        server.wait_until(lambda: is_ready(server))
        expected = {
            'purpleflea_operator_agent_conditions{condition="Ready",status="True"} 1.0',
            "purpleflea_operator_telemetry_coverage_ratio 1.0",
            'purpleflea_operator_api_requests_total{code="200",resource="pods",verb="watch"} 1.0',
            'purpleflea_operator_api_requests_total{code="201",resource="statefulsets",verb="create"} 1.0',
            "purpleflea_operator_leader 1.0",
            "purpleflea_operator_queue_depth 0.0",
            "purpleflea_operator_agents 1.0",
        }
        wait_for(lambda: expected <= set(ask("/metrics")[1].splitlines()))
        assert ask("/readyz") == ask("/livez") == (200, "ok")
