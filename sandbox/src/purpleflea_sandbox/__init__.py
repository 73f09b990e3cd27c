"""The outside world on one machine: a real Kubernetes, a paper exchange, a Datadog stand-in."""
