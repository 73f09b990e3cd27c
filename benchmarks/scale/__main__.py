"""Command line of the benchmark (make bench-scale): every variant at every size, and the page about the results.

    python -m benchmarks.scale --sizes 100 1000 --variants ours raw --phases create restart

Each run has a new control plane. With all variants and phases the results are written to docs/benchmarks, else to
.sandbox/scale. With --add, earlier results of other variants and sizes in that folder stay, so that a long benchmark
can be measured in parts. --resume continues an interrupted benchmark: it measures only the runs that are missing or
failed. --render only writes the page again. The exit code is 0 even if a promise is missed, because
machines differ.
"""

import argparse
import asyncio
import json
import os
import platform
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks import report
from benchmarks.scale import building, isolation, page, phases, plane, promises, results
from benchmarks.scale.api import RequestError
from benchmarks.scale.operators import OperatorExitedError
from benchmarks.scale.page import Environment
from benchmarks.scale.results import Phase, Run, Variant
from benchmarks.scale.subjects import PhaseTimeoutError, subject
from purpleflea_sandbox.cluster import build_specs
from purpleflea_sandbox.cluster.progress import TerminalProgress

SIZES = (100, 1000, 3000, 10_000)
VARIANTS: tuple[Variant, ...] = ("raw", "ours", "baseline")
FAILURES = (OperatorExitedError, PhaseTimeoutError, RequestError, TimeoutError)
PARTIAL = Path(__file__).parents[2] / ".sandbox" / "scale"


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark."""
    options = _options(arguments)
    if options.render:
        runs, environment = _read(options.output)
        _write(options.output, runs, environment)
        return
    if isolation.is_inside():
        isolation.set_up()
        # The default action would leave the control plane running.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        _measure(options)
        return
    building.ensure(options.variants, TerminalProgress())
    isolation.enter()


def _measure(options: argparse.Namespace) -> None:
    console = Console(stderr=True, highlight=False)
    load = os.getloadavg()[0]
    runs = _read(options.output)[0] if options.add or options.resume else []
    chosen = {variant: phases.of(variant, options.phases) for variant in options.variants}
    with plane.lock():
        for agents in options.sizes:
            sequence = _sequence(options.variants)
            if options.resume:
                sequence = results.left(runs, sequence, agents, chosen)
                replaced = results.incomplete(runs, agents, chosen)
                runs = [run for run in runs if run not in replaced]
            else:
                runs = results.without(runs, options.variants, agents)
            for variant in sequence:
                runs.append(asyncio.run(_run(variant, agents, chosen[variant], console)))
                # After each run, so that an interruption loses only one run.
                _write(options.output, runs, _environment(load))
    console.print(report.table(page.TITLE, promises.promises(runs)))
    console.print(f"written to {options.output}")


def _sequence(variants: Sequence[Variant]) -> list[Variant]:
    """Return the variants of one size; raw StatefulSets are first and last, so that a drift of the machine shows."""
    others = [variant for variant in variants if variant != "raw"]
    raw: list[Variant] = ["raw"] if "raw" in variants else []
    return [*raw, *others, *(raw if others else [])]


async def _run(variant: Variant, agents: int, chosen: Sequence[str], console: Console) -> Run:
    title = f"{agents:,} agents, {page.NAMES[variant]}"
    done: list[Phase] = []
    with (
        plane.running(TerminalProgress(console)) as running,
        console.status(title) as status,
    ):
        current = failure = ""

        def show(text: str) -> None:
            status.update(f"{title}: {current} {text}")

        try:
            async with subject(variant, agents, running, show) as item:
                for current in chosen:
                    await asyncio.sleep(phases.SETTLE_S)
                    show("")
                    phase = await phases.run_phase(item, current)
                    console.print(f"{title}: {summary(phase)}")
                    done.append(phase)
        except* FAILURES as failures:
            # The other runs are still worth measuring.
            failure = f"{current or 'start'}: {failures.exceptions[0]!r}"
            console.print(f"{title}: {failure}")
    return Run(variant=variant, agents=agents, phases=tuple(done), failure=failure)


def summary(phase: Phase) -> str:
    """Return the results of a phase in one line."""
    cpu = f"API server {phase.cpu_s['API server']:.1f} s CPU"
    if "operator" in phase.cpu_s:
        cpu += f", operator {phase.cpu_s['operator']:.1f} s CPU, {phase.peak_mib:.0f} MiB"
    latencies = "".join(
        f", {name} p50 {item.p50:.2f} s p99 {item.p99:.2f} s"
        for name, item in phase.latencies.items()
    )
    lag = "" if phase.lag_p99_s is None else f", lag p99 {1000 * phase.lag_p99_s:.0f} ms"
    own = "" if phase.own_lag_p99_s is None else f", own part {1000 * phase.own_lag_p99_s:.0f} ms"
    counts = f"{phase.writes} writes, {phase.reads} reads"
    return f"{phase.name}: {phase.seconds:.1f} s, {cpu}, {counts}{latencies}{lag}{own}"


def _write(folder: Path, runs: list[Run], environment: Environment) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    folder.joinpath("scale.md").write_text(page.page(runs, environment))
    for name, chart in page.charts(runs).items():
        folder.joinpath(f"scale-{name}.svg").write_text(chart)
    document = {
        "machine": environment.machine,
        "kubernetes": environment.kubernetes,
        "runs": results.to_json(runs),
    }
    folder.joinpath("scale.json").write_text(json.dumps(document, indent=1) + "\n")


def _read(folder: Path) -> tuple[list[Run], Environment]:
    """Return the results in a folder; none if there is no file."""
    file = folder / "scale.json"
    if not file.exists():
        return [], _environment(os.getloadavg()[0])
    document = json.loads(file.read_text())
    environment = Environment(machine=document["machine"], kubernetes=document["kubernetes"])
    return results.from_json(document["runs"]), environment


def _environment(load: float) -> Environment:
    machine = (
        f"{os.cpu_count()} processors (load {load:.1f} before), Python {platform.python_version()}"
    )
    return Environment(machine=machine, kubernetes=build_specs.KUBERNETES)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    names = list(phases.PHASES)
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES))
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--phases", nargs="+", choices=names, default=names, metavar="PHASE")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--add", action="store_true")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--render", action="store_true")
    options = parser.parse_args(arguments)
    if options.output is None:
        is_complete = set(options.variants) == set(VARIANTS) and set(options.phases) == set(names)
        options.output = report.DOCS if is_complete else PARTIAL
    return options


if __name__ == "__main__":
    main(sys.argv[1:])
