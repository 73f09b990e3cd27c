"""Infrastructure of the process: work queue, workers, leader election, health, metrics and lifecycle."""
