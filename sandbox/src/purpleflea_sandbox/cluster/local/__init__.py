"""The `local` provider: a real one-node Kubernetes in its own pid, mount and network namespace.
Needs root on Linux, and no container engine, no init system and no registry."""
