"""Our STUN and aioice's, each reading what the other wrote."""

import random

import pytest
from aioice import stun

from sfu._relay import oracle

PASSWORD = "a-password-of-22-chars"


def aioice_request(dice: random.Random, *, nominate: bool) -> stun.Message:
    attributes: dict[str, object] = {
        "USERNAME": f"server{dice.randrange(10**6)}:client{dice.randrange(10**6)}",
        "PRIORITY": dice.randrange(2**32),
        "ICE-CONTROLLING": dice.randrange(2**64),
    }
    if nominate:
        attributes["USE-CANDIDATE"] = None
    return stun.Message(
        message_method=stun.Method.BINDING,
        message_class=stun.Class.REQUEST,
        transaction_id=dice.randbytes(12),
        attributes=attributes,
    )


@pytest.mark.parametrize("seed", range(50))
def test_we_read_the_requests_that_aioice_writes(seed: int) -> None:
    dice = random.Random(seed)
    nominate = bool(seed % 2)
    message = aioice_request(dice, nominate=nominate)
    message.add_message_integrity(PASSWORD.encode())
    read = oracle.stun_parse(bytes(message))
    assert read["class"] == "request"
    assert read["transaction"] == message.transaction_id
    assert ":".join(read["username"]) == message.attributes["USERNAME"]
    assert read["use_candidate"] is nominate
    assert oracle.stun_verify(bytes(message), PASSWORD.encode())
    assert not oracle.stun_verify(bytes(message), b"another password")


@pytest.mark.parametrize("mapped", [("192.0.2.7", 40_000), ("2001:db8::7", 1)])
def test_aioice_reads_the_answers_that_we_write(mapped: tuple[str, int]) -> None:
    transaction = bytes(range(12))
    answer = oracle.stun_success(transaction, mapped, PASSWORD.encode())
    read = stun.parse_message(answer)
    assert read.message_class is stun.Class.RESPONSE
    assert read.transaction_id == transaction
    assert read.attributes["XOR-MAPPED-ADDRESS"] == mapped
    assert read.check_message_integrity(PASSWORD.encode())
    assert oracle.stun_parse(answer)["xor_mapped_address"] == mapped


def test_aioice_reads_the_questions_that_we_put() -> None:
    request = oracle.stun_request(
        bytes(12), "client:server", 2**31 - 1, 2**64 - 1, PASSWORD.encode()
    )
    read = stun.parse_message(request)
    assert read.message_class is stun.Class.REQUEST
    assert read.attributes["USERNAME"] == "client:server"
    assert read.attributes["PRIORITY"] == 2**31 - 1
    assert read.attributes["ICE-CONTROLLED"] == 2**64 - 1
    assert read.check_message_integrity(PASSWORD.encode())


def test_what_was_changed_on_the_way_is_refused() -> None:
    message = aioice_request(random.Random(1), nominate=True)
    message.add_message_integrity(PASSWORD.encode())
    whole = bytes(message)
    fingerprint = 8  # bytes at the end; not authentic, and optional
    for place in range(len(whole) - fingerprint):
        forged = bytearray(whole)
        forged[place] ^= 1
        try:
            accepted = oracle.stun_verify(bytes(forged), PASSWORD.encode())
        except ValueError:
            accepted = False
        assert not accepted, place
