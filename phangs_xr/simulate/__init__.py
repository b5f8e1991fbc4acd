"""A seeded simulated galaxy with known truth: what the demo shows and the tests measure against."""

from phangs_xr.simulate.dataset import simulate_galaxy
from phangs_xr.simulate.galaxy import F547M, F555W, F658N, F814W, Band, Galaxy

__all__ = ["F547M", "F555W", "F658N", "F814W", "Band", "Galaxy", "simulate_galaxy"]
