"""The control plane: who may do what, in which room, for how long."""
