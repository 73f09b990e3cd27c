"""The operator's own metrics, in Prometheus' form. The only place that knows prometheus_client."""
