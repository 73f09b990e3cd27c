"""Generate the CRDs, the reference page and the editor schema from the models in `api`."""
