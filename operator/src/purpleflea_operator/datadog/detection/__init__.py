"""Pure: Kubernetes objects -> what is known about the Datadog node agent in this cluster."""
