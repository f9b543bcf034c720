"""HTTP and WebSocket edges, TLS, limits, logs and metrics."""
