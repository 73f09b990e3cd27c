"""Says once what telemetry goes nowhere: to whoever runs our agent, and to whoever uses the library."""

import logging

from purpleflea_agent.settings import Environment

_said = False


def say_if_there_are_none(environment: Environment) -> None:
    """Warn, once in the life of the process, where metrics or traces have no receiver. Traces that are switched off
    need none."""
    global _said
    wanted = {
        "metrics": environment.metrics_have_a_receiver,
        "traces": environment.traces_have_a_receiver or not environment.dd_trace_enabled,
    }
    lost = [signal for signal, is_heard in wanted.items() if not is_heard]
    if _said or not lost:
        return
    _said = True
    logging.getLogger("purpleflea.telemetry").warning(
        "No Datadog agent in the environment (DD_AGENT_HOST, DD_DOGSTATSD_URL, DD_TRACE_AGENT_URL):"
        " %s go nowhere",
        " and ".join(lost),
    )
