"""The agent's HTTP surface: probes, status and control for the operator, and endpoints that move money."""
