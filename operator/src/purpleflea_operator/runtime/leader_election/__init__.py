"""Leader election with a Lease: pure decisions, and the elector that executes them."""
