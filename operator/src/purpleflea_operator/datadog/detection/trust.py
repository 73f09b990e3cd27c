"""Decide by namespace which node agents are trusted.

Labels prove nothing, because any user who may create a DaemonSet or a pod sets them. The namespace is evidence, because
only users with rights there create objects in it. The set of namespaces comes from the settings; nothing here reads it.
"""

from dataclasses import dataclass

ALL_NAMESPACES = "*"
"""Entry that trusts node agents in every namespace."""
DEFAULT_NAMESPACES = ("datadog", "datadog-agent")
"""Namespaces that Datadog's documentation installs node agents in."""


@dataclass(frozen=True, slots=True)
class TrustedNamespaces:
    """Namespaces whose node agents may receive the telemetry of agents."""

    names: tuple[str, ...] = DEFAULT_NAMESPACES

    def __contains__(self, namespace: object) -> bool:
        """Return True if node agents in the namespace are trusted."""
        return ALL_NAMESPACES in self.names or namespace in self.names


DEFAULT_TRUST = TrustedNamespaces()
