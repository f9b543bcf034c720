"""`conclave probe`: proves on the wire which crypto a WebRTC server accepts.

A client stack of its own (pyOpenSSL, aioice, pylibsrtp, websockets) that shares nothing with the
server's.
"""
