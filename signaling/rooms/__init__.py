"""The state of a room. Pure."""
