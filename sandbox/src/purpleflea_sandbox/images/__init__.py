"""The container images of the demo, built on this machine without a registry: with a Docker engine
if one responds, otherwise with mmdebstrap and buildah as root.

The result is an OCI archive; loading it into a cluster is the task of the cluster package.
"""
