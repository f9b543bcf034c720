//! Sockets and worker threads around the pure core.
