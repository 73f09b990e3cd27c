"""The conditions of an agent's status. Pure: each module computes conditions from the observed state."""
