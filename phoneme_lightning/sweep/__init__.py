"""Rounds of tuning; not in this version yet."""
