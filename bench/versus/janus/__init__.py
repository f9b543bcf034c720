"""Janus and its video room: a server in a namespace of its own, and a page that speaks with it."""
