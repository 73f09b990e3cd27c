"""Reconciles PurpleFleaAgent resources: from the watch event to the children in the cluster and the status."""
