"""The node agent: receives metrics, traces and logs of the pods of its node, tags them and forwards them."""
