"""The Purple Flea services: a port that the agent trades through, and one adapter for each dialect."""
