"""The DTLS side of a transport: aiortc's engine with everything of the crypto policy pinned.

failure      what a refused handshake says: stable code and sentence
certificate  our certificate and its rotation; what a peer's must be
context      the OpenSSL context, pinned
hello        reads a ClientHello, to say why it was refused
course       how a handshake went: flights, time, signatures
wire         the part of a handshake that is told in the clear
pipe         stands between the engine and the relay, in place of an ICE transport
transport    the engine
"""

from sfu.dtls.certificate import CertificateRotation, LocalCertificate
from sfu.dtls.course import Course
from sfu.dtls.failure import HandshakeRefused
from sfu.dtls.pipe import DatagramPipe
from sfu.dtls.transport import DtlsTransport, SrtpKeys, TransportFacts

__all__ = [
    "CertificateRotation",
    "Course",
    "DatagramPipe",
    "DtlsTransport",
    "HandshakeRefused",
    "LocalCertificate",
    "SrtpKeys",
    "TransportFacts",
]
