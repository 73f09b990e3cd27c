"""The intake: takes what node agents send, keeps the newest of it in memory, and answers questions about it."""
