"""The load generator: real clients with their own ICE, DTLS and SRTP.

It shares no code with the server, so that it can be wrong only on its own account.
"""
