"""Requests to the cluster through kubectl. The only package that starts processes or opens connections."""
