"""Node agent: receives metrics, traces and logs of the pods on its node, adds tags and forwards them."""
