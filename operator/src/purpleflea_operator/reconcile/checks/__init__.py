"""Checks of the world, one module per question, and the conditions that come of them."""
