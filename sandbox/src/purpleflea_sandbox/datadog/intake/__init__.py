"""Intake: receives the data that node agents send, keeps the newest of it in memory, and serves queries about it."""
