"""What there is: named objects with their holders, and what the dead left."""

from ._coview import objects, sweep

__all__ = ["objects", "sweep"]
