"""Real receivers of telemetry on loopback: a DogStatsD server, and Datadog's own test agent for traces."""
