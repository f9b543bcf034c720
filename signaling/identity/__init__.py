"""Ways to prove who somebody is, one file each, strangers to one another."""
