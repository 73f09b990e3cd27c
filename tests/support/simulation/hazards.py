"""All hazards."""

from support.simulation.faults import BASIC
from support.simulation.siblings import SIBLINGS

HAZARDS = {**BASIC, **SIBLINGS}
