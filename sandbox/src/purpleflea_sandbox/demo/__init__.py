"""The whole fleet on one machine: sets up cluster, images, stand-ins, operator and agents, and shows them."""
