"""Benchmark of the operator on a real API server with simulated nodes (make bench-scale)."""
