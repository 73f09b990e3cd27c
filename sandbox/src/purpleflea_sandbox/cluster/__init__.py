"""Kubernetes clusters on this machine.

Three providers implement one interface (`port`): `kind`, `local` (a real one-node cluster without a
container engine) and `simulated` (a control plane with simulated nodes). This package has no
dependency on agents, exchanges or Datadog.
"""
