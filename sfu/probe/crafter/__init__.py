"""DTLS hellos by hand, and a reader of what a server answers: what OpenSSL will not say for us.

Pure bytes, no sockets, no keys; nothing here finishes a handshake. `hello` and `extensions` say
what a client wants, `fragments` and `records` put it into datagrams whole or in pieces, `odd` is
what no client should say. `flight` reads a server's answer into `answers`. `tls`
is the same hello over TCP, for what OpenSSL cannot offer there: compression.
"""
