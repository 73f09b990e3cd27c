"""The Purple Flea operator: reconciles PurpleFleaAgent resources into hardened, observed trading agents."""

__version__ = "0.1.0"
