"""The HTTP API of the agent: health, status and control for the operator, and routes that move money."""
