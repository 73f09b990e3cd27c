"""Kubernetes API: the protocol for controllers, the HTTP client behind it, the object cache and the lease."""
