"""From the world as it is to the world as wanted: plan, checks and status are pure, the reconciler acts."""
