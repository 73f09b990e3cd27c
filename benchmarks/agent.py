"""Benchmark of the agent (make bench-agent): every target of the agent in one run, as a table and in docs/benchmarks.

    python -m benchmarks.agent

Each row has a target and the measured result. The exit code is always 0, because machines differ. Both sides of a ratio
are measured in the same run.
"""

import os
import tempfile

from rich.console import Console

from benchmarks import metric_calls, orders, report
from benchmarks.report import Row
from purpleflea_sandbox.images import archives

TITLE = "The agent, measured"
LOAD_S = int(os.environ.get("BENCH_LOAD_S", "30"))
MEMORY_ORDERS = int(os.environ.get("BENCH_MEMORY_ORDERS", "10000"))
MIB = 1024 * 1024
MAX_OWN_LAG_MS = 20
"""Limit for "never blocked": a few slices of 5 ms in which another thread of the process holds the interpreter. A delay
in which no thread of the process ran is caused by the machine, and is only reported."""


def main() -> None:
    """Run the benchmark, print the table and write docs/benchmarks."""
    console = Console()
    rows: list[Row] = []
    for part in (_calls, _with_receiver, _without_receiver, _trading, _start, _memory, _image):
        with console.status(part.__name__.strip("_").replace("_", " ")):
            rows += part()
    console.print(report.table(TITLE, rows))
    report.write("agent", TITLE, rows)


def _calls() -> list[Row]:
    cost = metric_calls.cost()
    ratio = cost.page_ns / cost.ours_ns
    return [
        Row(
            measurement="metric call, median",
            target="<= 3 µs",
            result=f"{cost.ours_ns / 1000:.2f} µs (code of the integration page: {cost.page_ns / 1000:.2f} µs)",
            is_met=cost.ours_ns <= 3000,
        ),
        Row(
            measurement="code of the integration page / ours",
            target=">= 5",
            result=f"{ratio:.1f}",
            is_met=ratio >= 5,
        ),
    ]


def _with_receiver() -> list[Row]:
    load = metric_calls.with_receiver(LOAD_S)
    return [
        Row(
            measurement=f"lost calls of {load.calls} at 20,000/s for {LOAD_S} s",
            target="0",
            result=f"{load.lost}; {load.call_ns / 1000:.2f} µs a call; {_lag(load)}",
            is_met=load.lost == 0,
        )
    ]


def _without_receiver() -> list[Row]:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, url in (
            ("UDP", "udp://127.0.0.1:9"),
            ("absent socket", f"unix://{folder}/absent"),
        ):
            load = metric_calls.without_receiver(5, url)
            rows.append(
                Row(
                    measurement=f"metric call without a receiver ({name}), 20,000/s",
                    target=f"<= 5 µs, event loop not delayed for more than {MAX_OWN_LAG_MS} ms by the process",
                    result=f"{load.call_ns / 1000:.2f} µs; {_lag(load)}",
                    is_met=load.call_ns <= 5000 and load.own_lag_ms <= MAX_OWN_LAG_MS,
                )
            )
    return rows


def _lag(load: metric_calls.Load) -> str:
    delay = f"event loop delayed by up to {load.lag_ms:.0f} ms, {load.own_lag_ms:.0f} ms by its own threads"
    return f"{delay} (idle loop: {load.idle_lag_ms:.0f} ms)"


def _trading() -> list[Row]:
    full, bare = orders.with_and_without()
    throughput, p99 = full.per_s / bare.per_s, bare.p99_ms / full.p99_ms
    return [
        Row(
            measurement="POST /v1/trade, throughput with / without instrumentation",
            target=">= 0.7",
            result=f"{throughput:.2f} ({full.per_s:.0f}/s, {bare.per_s:.0f}/s)",
            is_met=throughput >= 0.7,
        ),
        Row(
            measurement="POST /v1/trade, p99 without / with instrumentation",
            target=">= 0.7",
            result=f"{p99:.2f} ({bare.p99_ms:.1f} ms, {full.p99_ms:.1f} ms;"
            f" medians {bare.p50_ms:.1f} ms, {full.p50_ms:.1f} ms)",
            is_met=p99 >= 0.7,
        ),
    ]


def _start() -> list[Row]:
    seconds = orders.seconds_to_ready()
    return [
        Row(
            measurement="start to Ready, median",
            target="<= 4 s",
            result=f"{seconds:.1f} s",
            is_met=seconds <= 4,
        )
    ]


def _memory() -> list[Row]:
    memory = orders.memory(MEMORY_ORDERS)
    growth = memory.at_end - memory.halfway
    return [
        Row(
            measurement=f"resident set after {memory.orders} orders",
            target="<= 170 MiB",
            result=f"{memory.at_end:.0f} MiB (after the start {memory.at_start:.0f} MiB)",
            is_met=memory.at_end <= 170,
        ),
        Row(
            measurement="growth over the second half of these orders",
            target="flat",
            result=f"{growth:+.1f} MiB",
            is_met=growth < 5,
        ),
    ]


def _image() -> list[Row]:
    built = sorted(archives.folder().glob("agent-*.tar"), key=lambda path: path.stat().st_mtime)
    size = f"{built[-1].stat().st_size / MIB:.0f} MiB" if built else "not built; run: make images"
    return [Row(measurement="image archive", target="reported", result=size)]


if __name__ == "__main__":
    main()
