"""Client for the HTTP endpoints of the agents."""
