"""The one place that decides. Pure."""
