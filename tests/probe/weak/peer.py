"""One peer of the test's server: DTLS over memory, judged when it is over, and its SRTP."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator

from OpenSSL import SSL
from pylibsrtp import Error, Policy, Session

from sfu.probe.identity import fingerprint, key_kind
from sfu.probe.srtp import PROFILES, profile_name
from tests.probe.weak import careless
from tests.probe.weak.contexts import LIB
from tests.probe.weak.strength import Strength

# handshake_failure in an epoch-0 record; a number beyond those that OpenSSL has used
ALERT = bytes.fromhex("15fefd0000000000ffffff00020228")


class Refused(Exception):
    """The client is not let in; the text says why."""


class Peer:
    """The server's end of one transport."""

    def __init__(self, strength: Strength, context: SSL.Context, announced: list[str]) -> None:
        self.strength = strength
        self.announced = announced  # "sha-256 AB:…"
        self.connection = SSL.Connection(context, None)
        self.connection.set_accept_state()
        self.connection.set_ciphertext_mtu(1200)
        self.done = False
        self.over = False
        self.ssrcs: set[int] = set()
        self._theirs = b""
        self._profile = None
        self._inbound: Session | None = None
        self._outbound: Session | None = None
        self.sequence = 0
        self._once: set[bytes] = set()
        self._seen: set[bytes] = set()

    # --- DTLS -----------------------------------------------------------------------------------

    def take(self, datagram: bytes) -> list[bytes]:
        """One datagram of DTLS; what to send. Raises `Refused` with nothing sent."""
        self.connection.bio_write(datagram)
        if self.done:
            with contextlib.suppress(SSL.Error):
                self.connection.recv(16384)
            return list(self._written())
        try:
            self.connection.do_handshake()
        except SSL.WantReadError:
            return list(self._written())
        except SSL.Error:
            self.over = True
            return list(self._written())
        self._judge()
        self.done = True
        return list(self._written())

    def again(self) -> list[bytes]:
        """What OpenSSL's timer sends again, when it has run out."""
        if self.done or self.over or not self.strength.resends:
            return []
        try:
            self.connection.DTLSv1_handle_timeout()
        except SSL.Error:
            self.over = True
        return list(self._written())

    def _judge(self) -> None:
        """Everything that OpenSSL has let pass."""
        strength = self.strength
        certificate = self.connection.get_peer_certificate(as_cryptography=True)
        if certificate is None:
            if strength.certificate:
                raise Refused("no certificate")
        else:
            if key_kind(certificate) not in strength.client_keys:
                raise Refused("a key of a kind that is not taken")
            if strength.dates and certificate.not_valid_after_utc < datetime.datetime.now(
                datetime.UTC
            ):
                raise Refused("an expired certificate")
            known = [one for one in self.announced if one.split(" ")[0] in strength.digests]
            same = [fingerprint(certificate, one.split(" ")[0]) == one for one in known]
            enough = {"every": all(same), "any": any(same) or not same, "none": True}
            if not enough[strength.fingerprints]:
                raise Refused("another fingerprint")
        if strength.extended_master_secret and (
            LIB.SSL_get_extms_support(self.connection._ssl) != 1
        ):
            raise Refused("no extended master secret")
        name = profile_name(self.connection.get_selected_srtp_profile().decode() or None)
        if name is None:
            if strength.srtp_required:
                raise Refused("no SRTP profile")
            return
        self._keys(name)

    def _keys(self, name: str) -> None:
        profile = PROFILES[name]
        k, s = profile.key, profile.salt
        material = self.connection.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * (k + s))
        self._theirs = material[:k] + material[2 * k : 2 * k + s]
        ours = material[k : 2 * k] + material[2 * k + s :]
        self._libsrtp = profile.libsrtp
        self._inbound = self._session(self._theirs, Policy.SSRC_ANY_INBOUND)
        self._outbound = self._session(ours, Policy.SSRC_ANY_OUTBOUND)

    def _session(self, key: bytes, direction: int) -> Session:
        policy = Policy(key=key, ssrc_type=direction, srtp_profile=self._libsrtp)
        policy.window_size = 4096
        return Session(policy)

    def _written(self) -> Iterator[bytes]:
        """One record to a datagram, so that loss hits flights in parts."""
        data = b""
        while True:
            try:
                data += self.connection.bio_read(65536)
            except SSL.Error:
                break
        while data:
            length = 13 + int.from_bytes(data[11:13], "big")
            record, data = data[:length], data[length:]
            # Which message and fragment, in plaintext; else that it is encrypted, or CCS.
            what = record[17:22] if record[0] == 22 and record[3:5] == b"\0\0" else record[:5]
            if self.strength.resends or what not in self._once:
                self._once.add(what)
                yield record

    # --- SRTP -----------------------------------------------------------------------------------

    def opened(self, packet: bytes, others: list[Peer]) -> bytes | None:
        """The RTP in it, if this server takes it."""
        strength = self.strength
        if self._inbound is None:
            return packet if strength.plaintext or strength.early_plaintext else None
        if strength.plaintext and len(packet) == careless.PLAIN_LENGTH:
            return packet
        which = packet[2:12]  # sequence number, timestamp, SSRC
        seen = which in self._seen
        self._seen.add(which)
        if not strength.roll_over:
            fresh = self._session(self._theirs, Policy.SSRC_ANY_INBOUND)
            return None if seen else _or_none(fresh, packet)
        plain = _or_none(self._inbound, packet)
        if plain is None and strength.replay:
            plain = _or_none(self._session(self._theirs, Policy.SSRC_ANY_INBOUND), packet)
        if plain is None and not strength.tags and not seen:
            plain = careless.opened(self._theirs, packet)
        if plain is None and strength.anybodys_keys:
            for other in others:
                plain = plain or other._by_my_key(packet)
        return plain

    def _by_my_key(self, packet: bytes) -> bytes | None:
        if self._inbound is None:
            return None
        return _or_none(self._session(self._theirs, Policy.SSRC_ANY_INBOUND), packet)

    def opened_control(self, packet: bytes) -> bytes | None:
        """The RTCP in it, if this server takes it."""
        if self._inbound is None:
            return None
        try:
            return self._inbound.unprotect_rtcp(packet)
        except Error:
            return packet if self.strength.plaintext_control else None

    def sealed(self, packet: bytes) -> bytes | None:
        """For this peer, numbered anew, so that a packet forwarded twice is two."""
        if self._outbound is None:
            return None
        self.sequence = (self.sequence + 1) & 0xFFFF
        return self._outbound.protect(packet[:2] + self.sequence.to_bytes(2, "big") + packet[4:])

    def sealed_control(self, packet: bytes) -> bytes | None:
        return None if self._outbound is None else self._outbound.protect_rtcp(packet)


def _or_none(session: Session, packet: bytes) -> bytes | None:
    try:
        return session.unprotect(packet)
    except Error:
        return None
