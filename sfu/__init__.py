"""The media plane: peers and tracks; never people, rooms or rules."""
