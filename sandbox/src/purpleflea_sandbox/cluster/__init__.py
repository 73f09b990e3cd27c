"""A Kubernetes cluster on this machine: `kind`, our own one-node plane (`local`), or a control
plane with simulated nodes, behind one small interface (`port`). Knows nothing of agents,
exchanges or Datadog."""
