"""Pure: (agent, defaults, connection) -> the manifests of its children, in the order in which they are applied."""
