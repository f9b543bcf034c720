"""Janus' video room as a venue: its WebSocket API, and people who use it."""
