"""The colours of maps, whoever draws them."""

from __future__ import annotations

FLUX_MAP = "inferno"

SKY_COLOUR = "#404040"
"""Where there is no data: a grey that no flux has."""
