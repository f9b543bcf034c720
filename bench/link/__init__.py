"""A bad network of our own: seeded one-way pipes over a UDP relay or a TUN pair."""
