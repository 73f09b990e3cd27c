"""The `simulated` provider: a real control plane on loopback with nodes that only exist in the
API. Needs no root, no namespaces and no packages; nothing really runs in its pods."""
