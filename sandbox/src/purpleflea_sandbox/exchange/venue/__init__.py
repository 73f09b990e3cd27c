"""Operations of the exchange: each public function is one request or one periodic task, with at
most one transaction.

The functions are synchronous by design: no await happens between reading and writing, so requests
cannot interleave.
"""
