"""Frozen values: who people are and what they were given. Pure."""
