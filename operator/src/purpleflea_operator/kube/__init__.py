"""The Kubernetes API: a port for those who decide, and the one adapter that knows HTTP."""
