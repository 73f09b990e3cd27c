"""Detect the Datadog node agents of a cluster, and select the connection of agents to them.

Everything here is pure: the input is Kubernetes objects, the output is values. Nothing here reads the cluster.
"""
