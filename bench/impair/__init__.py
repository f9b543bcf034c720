"""What people see and hear of a call over a bad network: real browsers through `bench.link`."""
