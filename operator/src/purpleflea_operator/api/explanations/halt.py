"""Explanation of each reason of a PurpleFleaHalt: severity, status, meaning and remedy."""

from purpleflea_operator.api.halt import HaltCondition
from purpleflea_operator.api.reasons import Explanations, Reason, Severity, explain

HALT_REASONS = Explanations(
    (
        explain(
            Reason.ACCEPTED,
            {HaltCondition.ACCEPTED: "True"},
            Severity.NORMAL,
            "The halt applies as it is written.",
        ),
        explain(
            Reason.INVALID,
            {HaltCondition.ACCEPTED: "False"},
            Severity.WARNING,
            "A field of the spec cannot be read. The halt applies nevertheless: an unknown level counts as `Halt`, an "
            "unreadable part of the selector is left out so that more agents are selected, and an unreadable time "
            "never ends the halt.",
            "Create a correct PurpleFleaHalt, and then delete this one: `kubectl delete pfh NAME`",
        ),
        explain(
            Reason.SCOPE_LIMITED,
            {HaltCondition.ACCEPTED: "False"},
            Severity.WARNING,
            "The scope is `Cluster`, but the halt is not in the operator's own namespace. It applies only to agents in "
            "the namespace of the halt.",
            "Create the halt in the namespace of the operator, which the message names: `kubectl apply -f halt.yaml "
            "--namespace purpleflea-system`",
        ),
        explain(
            Reason.HALTING,
            {HaltCondition.HALTED: "Unknown"},
            Severity.WARNING,
            "The named agents have not acknowledged the halt yet, so they may still trade.",
            "Wait, or check whether the operator reaches the HTTP port of the named agents: "
            "`kubectl get networkpolicies`, `kubectl get pods --output=wide`",
        ),
        explain(
            Reason.HALTED,
            {HaltCondition.HALTED: "True"},
            Severity.NORMAL,
            "Every selected agent that runs has acknowledged that it sends no more orders.",
        ),
        explain(
            Reason.NOTHING_SELECTED,
            {HaltCondition.HALTED: "False", HaltCondition.DRAINING: "False"},
            Severity.WARNING,
            "The selector matches no agent. Agents that are created later and match start halted.",
            "Compare the selector with `kubectl get pfa --show-labels`.",
        ),
        explain(
            Reason.EXPIRED,
            {HaltCondition.HALTED: "False", HaltCondition.DRAINING: "False"},
            Severity.QUIET,
            "`spec.expiresAt` has passed, so the halt has no effect any more.",
        ),
        explain(
            Reason.DRAINING,
            {HaltCondition.DRAINING: "True"},
            Severity.IN_PROGRESS,
            "The named agents are not drained yet. The admission policy refuses to delete the halt until they are.",
        ),
        explain(
            Reason.DRAINED,
            {HaltCondition.DRAINING: "False"},
            Severity.QUIET,
            "Every selected agent that runs has reported that nothing is open.",
        ),
    )
)
