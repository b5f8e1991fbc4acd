"""A seeded simulated galaxy with known truth: what the demo shows and the tests measure against."""

from phangs_xr.simulate.dataset import simulate_galaxy
from phangs_xr.simulate.effects import REAL_EFFECTS, Effects
from phangs_xr.simulate.galaxy import F547M, F555W, F658N, F814W, Band, Galaxy, make_real_galaxy

__all__ = [
    "F547M",
    "F555W",
    "F658N",
    "F814W",
    "REAL_EFFECTS",
    "Band",
    "Effects",
    "Galaxy",
    "make_real_galaxy",
    "simulate_galaxy",
]
