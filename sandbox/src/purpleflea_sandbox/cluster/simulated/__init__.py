"""The `simulated` provider: a real control plane on the loopback interface, with nodes that exist
only in the API.

It needs no root, namespaces or packages, but nothing runs in its pods.
"""
