"""Recipes on simulated galaxies whose truth is known: how far their maps are from it."""
