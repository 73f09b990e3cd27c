"""Generates CRDs, reference documentation and the schema for editors from the models in `api`."""
