"""The four container images of the demo, built on this machine without a registry: by a Docker engine when one
answers, else by mmdebstrap and buildah as root. Gives OCI archives; getting them into a cluster is not its part."""
