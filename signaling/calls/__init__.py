"""The use cases: join, publish, subscribe, leave."""
