"""Simulated environment for one machine: a real Kubernetes cluster, a paper exchange, and a Datadog
stand-in.
"""
