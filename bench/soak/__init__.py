"""A long call with people who come and go, and whether the server stays as it was."""
