"""The `local` provider: a real one-node Kubernetes cluster in its own pid, mount and network
namespaces.

It needs root on Linux, but no container engine, init system or registry.
"""
