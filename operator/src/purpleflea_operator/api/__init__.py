"""Pydantic models of the custom resources, with the texts of `kubectl explain`.

Everything here is pure: no I/O and no clock. The effects of a spec are decided in `manifests` and `controllers`.
"""
