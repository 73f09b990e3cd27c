"""Explanation of each reason of the Events about the Lease of the operator."""

from purpleflea_operator.api.reasons import Explanations, Reason, Severity, explain

OPERATOR_REASONS = Explanations(
    (
        explain(
            Reason.NAMESPACE_NOT_WATCHED,
            {},
            Severity.WARNING,
            "For more than a minute, the API server has refused the operator a list of the namespace, or of the "
            "cluster. The agents run on, but their status may be outdated, and changes may not be applied.",
            "Grant the rights with the roles of the chart: `helm upgrade purpleflea-operator CHART --namespace "
            "purpleflea-system --reuse-values`. If the namespace was deleted, remove it from `watchNamespaces`.",
        ),
        explain(
            Reason.NAMESPACE_WATCHED,
            {},
            Severity.NORMAL,
            "The API server serves all lists of the namespace again.",
        ),
    )
)
