"""Whoever draws the figures on paper: in this process, or in one beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from phangs_xr.qa.measure.measurements import Measured


class Papers(Protocol):
    """Whoever writes the files of all figures, here or in a process beside this one."""

    def draw(self, found: Measured) -> None:
        """Begin to draw what was measured."""

    def finish(self) -> Mapping[str, str]:
        """Wait until all is drawn; return why figures cannot be drawn, by their names."""
