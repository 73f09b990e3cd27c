"""What the exchange does: each public function is one request or one tick, one transaction at most.

Synchronous on purpose: nothing is awaited between reading and writing, so requests cannot interleave.
"""
