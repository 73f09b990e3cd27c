"""The page of all conditions and Events: `python -m purpleflea_operator.codegen.conditions_docs FILE` (`make docs`).

The tables come from `api.explanations`; the introductions of the page and of each condition are written here by hand.
"""

import sys
from collections.abc import Iterable
from pathlib import Path
from textwrap import fill

from purpleflea_contract.links import reason_anchor
from purpleflea_operator.api.agent_status import ConditionType
from purpleflea_operator.api.explanations.agent import AGENT_REASONS, TERMINAL, WITHOUT_EVENTS
from purpleflea_operator.api.explanations.halt import HALT_REASONS
from purpleflea_operator.api.explanations.observability import OBSERVABILITY_REASONS
from purpleflea_operator.api.explanations.operator import OPERATOR_REASONS
from purpleflea_operator.api.halt import HaltCondition
from purpleflea_operator.api.observability_status import ObservabilityCondition
from purpleflea_operator.api.reasons import Explanation, Explanations

WIDTH = 120
HEAD = """# Conditions and Events

Generated from the reasons in the operator by `make docs`; do not edit.

`kubectl get pfa NAME -o yaml` shows the conditions of an agent under `status.conditions`. A message has the symptom,
the cause and the remedy, with the exact command if there is one. Reasons are public API: clients may match them.

If the status or the reason of a condition changes, the operator also posts an Event on the resource:
`kubectl describe pfa NAME`. The reason of the Event is the condition followed by the reason, such as
`TelemetryReadyNoConnection`. Its type is Normal if the condition has no problem, else Warning. The first transition to
a state without a problem posts no Event.

The message of an Event of type Warning ends with the link to the row of its reason on this page. `kubectl purpleflea
why` and `kubectl purpleflea doctor` print the same link. Conditions do not contain it, because it follows from the
condition and its reason: `#telemetryready-noconnection`.
"""

AGENT = "PurpleFleaAgent"
OBSERVABILITY = "PurpleFleaObservability"
HALT = "PurpleFleaHalt"
AGENT_HEAD = f"## {AGENT}\n"
OBSERVABILITY_HEAD = """## PurpleFleaObservability

`kubectl get pfo NAME -o yaml` shows the conditions. [observability.md](observability.md) describes the resource.
"""
HALT_HEAD = """## PurpleFleaHalt

`kubectl get pfh NAME -o yaml` shows the conditions. [halts.md](halts.md) describes the resource. Events are posted for
`Accepted` and `Halted`.
"""

INTRODUCTIONS = {
    ConditionType.READY: """\
The summary of `SpecValid` and `WorkloadAvailable`. If one of them is not True, `Ready` is False with the reason and the
message of that condition. Telemetry does not count, because agents trade without it if `spec.datadog.whenMissing` is
`Warn`.
""",
    ConditionType.SPEC_VALID: """\
The API server rejects most mistakes when a manifest is applied. The operator reports the others here.
""",
    ConditionType.WORKLOAD_AVAILABLE: """\
The message has the number of ready agents, and names the first pod with a problem.
""",
    ConditionType.DATADOG_INSTALLED: """\
[datadog-detection.md](datadog-detection.md) describes how the operator detects a node agent.
""",
    ConditionType.TELEMETRY_READY: """\
The condition reports the first problem in the sequence of this table. Each message names the nodes or pods and has the
complete command: for Helm as below, for a DatadogAgent as `kubectl patch datadogagent`. If one of the user's own
variables turns off or closes a signal that the installation would open (`DD_USE_DOGSTATSD`,
`DD_DOGSTATSD_NON_LOCAL_TRAFFIC`, `DD_APM_ENABLED`, `DD_LOGS_ENABLED` and similar), the command changes this variable:
`--set-string agents.containers.CONTAINER.envDict.VARIABLE=true`, or `kubectl edit datadogagent`. The message counts the
agents, as in `47/50 agents are connected`.
""",
    ConditionType.TRADING_ACTIVE: """\
False needs proof: every agent that runs, or that ran and may return, has acknowledged that it is drained
(`GET /v1/control`). After another mode, True needs acknowledgements, too. An agent that started in mode `Active` needs
none, because it becomes ready only when it can trade. Unknown means that an agent may still trade.

A request to halt or stop is applied even if the rest of the spec is invalid. In that case `Stopped` keeps the pods
until the spec is valid.

The message names the field manager that set `spec.trading.mode`, the time, and the text of the annotation
`purpleflea.com/reason` if there is one: `kubectl annotate pfa NAME purpleflea.com/reason="exchange maintenance"`. If a
PurpleFleaHalt requests the mode, the message names the PurpleFleaHalt and its reason ([halts.md](halts.md)).

`Stopped` deletes the pods when all agents are drained, or `spec.pod.terminationGracePeriodSeconds` after they received
the request. `Active` starts them again. The operator does not query an agent that runs and trades. It queries an agent
whose acknowledgement is missing after 0.5 s, and then at increasing intervals of at most 15 s, until the agent
acknowledges. If an agent still reports another mode after a few seconds, the operator refreshes its control file again.
""",
    ConditionType.PROGRESSING: """\
A changed template is tried on the pod with the highest ordinal first. If a pod fails during a rollout, the operator
pauses the rollout there with the partition of the StatefulSet. The identities below it keep their revision, even if
they crash or are evicted. A spec that fixes the problem is first tried on the pods above.

A problem of a pod has the same reason as in `WorkloadAvailable`. The condition becomes False immediately for
{terminal},
because a user must act, and for `ApplyFailed` and `NameTaken`. For the other problems of a pod it becomes False ten
minutes after the last progress.
""",
    ConditionType.DUPLICATE_IDENTITY: """\
In Datadog, the identity of an agent is the name of its pod with env and service. Pods are named `<name>-<ordinal>`, so
two agents are indistinguishable if name, `spec.datadog.env` and `spec.datadog.service` are the same in two namespaces.
Other tags do not help, because monitors and dashboards group by these tags. The running agent keeps the identity; if
neither runs, the older resource gets it. For this condition, True indicates a problem.
""",
    ConditionType.STORAGE_READY: """\
Each identity has a volume unless `spec.storage.ephemeral` is true. An agent that an earlier version of the operator
created without `spec.storage` keeps its journal in the pod until `spec.storage` is set.

If the size or the class changes, the operator recreates the StatefulSet without its pods, which keep running. Adding a
volume replaces the pods, one at a time, and each agent starts with an empty journal. A volume cannot be removed again.
""",
    ConditionType.WITHIN_BUDGET: """\
The condition exists only if `spec.datadog.customMetricsBudget` is set.
""",
    ConditionType.POSITIONS_CONSISTENT: """\
The condition exists since the first mismatch of a position. The operator reads it from `/v1/status` of each agent every
five minutes, and every minute while there is a mismatch. The metric `agent.positions.mismatch_count` and the log event
`position_mismatch` report it at once.
""",
}

HALT_INTRODUCTIONS = {
    HaltCondition.ACCEPTED: """\
False if the halt does not apply as it is written. It applies nevertheless, as the message describes.
""",
    HaltCondition.HALTED: """\
True needs proof: every selected agent that runs has acknowledged the mode, so it sends no more orders.
""",
    HaltCondition.DRAINING: """\
True until every selected agent that runs has reported that nothing is open. `status.open` names the agents. For this
condition, False is the final state.
""",
}

OBSERVABILITY_INTRODUCTIONS = {
    ObservabilityCondition.READY: """\
True if Datadog is as the spec requires, or differs on purpose (`Edited`, `Planned`). Otherwise `Ready` is False with
the reason and the message of the first of `KeysValid`, `Degraded` and `Synced` that has a problem.
""",
    ObservabilityCondition.KEYS_VALID: "The keys in the Secret of `spec.keysSecretRef`.\n",
    ObservabilityCondition.SYNCED: "The objects in Datadog compared with the spec.\n",
    ObservabilityCondition.DEGRADED: """\
True if Datadog rejects objects or does not answer, and a user may have to act. For this condition, True indicates a
problem.
""",
}

EVENTS = """### Events

These Events do not belong to a condition. `kubectl describe pfo NAME` shows them.
"""

OPERATOR = """## Operator

These Events are about the Lease of the operator, in its namespace: `kubectl get events -n purpleflea-system`. If the
operator may not read a namespace, it may not be able to write the status of the agents there either.
"""
REASONS = {AGENT: AGENT_REASONS, HALT: HALT_REASONS, OBSERVABILITY: OBSERVABILITY_REASONS}


def page() -> str:
    """Return the page."""
    terminal = _listed(item for item in AGENT_REASONS.items if item.reason in TERMINAL)
    introductions = {
        kind: text.replace("{terminal}", terminal) for kind, text in INTRODUCTIONS.items()
    }
    return "\n".join(
        [
            HEAD,
            _without_events(),
            AGENT_HEAD,
            *(_section(AGENT, condition, text) for condition, text in introductions.items()),
            HALT_HEAD,
            *(_section(HALT, condition, text) for condition, text in HALT_INTRODUCTIONS.items()),
            OBSERVABILITY_HEAD,
            *(
                _section(OBSERVABILITY, condition, text)
                for condition, text in OBSERVABILITY_INTRODUCTIONS.items()
            ),
            f"{EVENTS}\n{_event_table(OBSERVABILITY_REASONS)}",
            f"{OPERATOR}\n{_event_table(OPERATOR_REASONS)}",
        ]
    )


def _without_events() -> str:
    conditions = " and ".join(f"`{kind}`" for kind in ConditionType if kind in WITHOUT_EVENTS)
    quiet = [
        f"`{kind}{item.reason}`"
        for item in AGENT_REASONS.items
        for kind in item.statuses
        if not item.severity.posts_events and kind not in WITHOUT_EVENTS
    ]
    text = (
        f"The conditions {conditions} post no Events, because they repeat other conditions. "
        f"These reasons post no Event: {', '.join(quiet)}."
    )
    return fill(text, WIDTH) + "\n"


def _listed(items: Iterable[Explanation]) -> str:
    return fill(", ".join(f"`{item.reason}`" for item in items), WIDTH)


def _section(kind: str, condition: str, introduction: str) -> str:
    rows = [
        (_anchored(kind, condition, item), item.statuses[condition], item.meaning, item.remedy)
        for item in REASONS[kind].of(condition)
    ]
    table = _table(("reason", "status", "meaning", "what to do"), rows) if rows else ""
    return f"### {condition}\n\n{introduction}" + (f"\n{table}" if table else "")


def _anchored(kind: str, condition: str, item: Explanation) -> str:
    return f'<a id="{reason_anchor(kind, condition, item.reason)}"></a>`{item.reason}`'


def _event_table(explanations: Explanations) -> str:
    rows = [
        (_anchored("", "", item), str(item.severity), item.meaning, item.remedy)
        for item in explanations.items
        if not item.statuses
    ]
    return _table(("reason", "type", "meaning", "what to do"), rows)


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    cells = ([cell.replace("|", "\\|") for cell in line] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def main(files: list[str]) -> None:
    """Write the page into each of `files`."""
    for file in files:
        Path(file).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
