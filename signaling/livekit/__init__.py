"""LiveKit signalling: sessions as a pure state machine, messages, the door."""
