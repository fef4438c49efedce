"""Units in which the figures of a plan are shown.

A field of a plan that is a row of its table is annotated with the row's label and unit.
"""

from typing import NamedTuple


class Unit(NamedTuple):
    """A way to print a number."""

    template: str
    size: float = 1  # of the unit, in the number's own

    def text(self, value: float) -> str:
        """The number in this unit."""
        return self.template.format(value / self.size)


GIB = Unit("{:.2f} GiB", 1024**3)
MIB = Unit("{:.1f} MiB", 1024**2)
SECONDS = Unit("{:.3f} s")
MILLISECONDS = Unit("{:.2f} ms", 1e-3)
MINUTES = Unit("{:.1f} min", 60)
COUNT = Unit("{:,.0f}")
FRACTION = Unit("{:.3f}")
FLOPS = Unit("{:.3e}")
