"""Units of a plan's figures. Each field that is a row of the plan's table is annotated with a label and a unit."""

from typing import NamedTuple


class Unit(NamedTuple):
    """A unit in which a number is printed."""

    template: str
    size: float = 1  # the number is divided by this

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
