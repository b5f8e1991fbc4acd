"""Damaged files and configurations, at random: each is used or told of in one line."""
