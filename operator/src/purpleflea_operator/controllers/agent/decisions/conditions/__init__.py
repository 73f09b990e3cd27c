"""The conditions in the status of an agent. Pure: each module computes conditions from the observed state."""
