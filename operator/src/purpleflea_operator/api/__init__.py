"""What users write and read: the PurpleFleaAgent resource as pydantic models, and its schema.

Pure: no I/O, no clock. What follows from a spec is decided in render and reconcile.
"""
