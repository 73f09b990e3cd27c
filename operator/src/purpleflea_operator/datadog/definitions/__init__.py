"""Pure: (parameters) -> everything Datadog should hold about the agents, as bodies of its API.

Monitors, SLO, dashboard, log pipeline and index, metric configuration, scanner and notebook: one module each. Names of
metrics, tags, spans and events come from the contract; nothing here knows HTTP, Kubernetes or where the objects go.
"""
