"""What keeps the operator going: the queue, its workers, the upkeep of the cache, health."""
