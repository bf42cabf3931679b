"""Damaged conversations: flipped bits, false lengths, and parts missing, repeated or exchanged, chosen by a seed."""

import random
import struct
from collections.abc import Callable, Sequence

from tests.integration.scp.raw import element, p_data, pdv
from tests.torture.conversations import Conversation

LIES = (0, 1, 2, 3, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
FORMATS = (">I", "<I", ">H", "<H", "B")
WORDS = (b"../../../../etc/passwd", b"1.2.3/../../x", b"\0" * 64, b"%s%n%x", b"9" * 64, b"\xff" * 16, b"1.2." * 16)

Mutation = Callable[[Conversation, random.Random], None]


def mutated(captures: Sequence[Conversation], rng: random.Random) -> Conversation:
    """Return one of the captures with one to four changes."""
    conversation = list(rng.choice(captures))
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4))):
        if conversation:
            rng.choice(MUTATIONS)(conversation, rng)
    if conversation and rng.random() < 0.1:
        _splice(conversation, rng.choice(captures), rng)
    return conversation


def _flip(conversation: Conversation, rng: random.Random) -> None:
    """Flip some bits of one PDU."""

    def change(data: bytearray) -> None:
        for _ in range(rng.randint(1, 8)):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)

    _change_one(conversation, rng, change)


def _lie(conversation: Conversation, rng: random.Random) -> None:
    """Overwrite a number that may be a length or an ID."""
    form, value = rng.choice(FORMATS), rng.choice(LIES)
    packed = struct.pack(form, value & (1 << 8 * struct.calcsize(form)) - 1)

    def change(data: bytearray) -> None:
        at = rng.randrange(len(data)) if rng.random() < 0.5 else rng.choice((2, 6, 10, 74, 78, 12))
        data[at : at + len(packed)] = packed

    _change_one(conversation, rng, change)


def _insert(conversation: Conversation, rng: random.Random) -> None:
    """Insert noise, or a text that has harmed other programs."""
    noise = rng.choice((rng.randbytes(rng.randint(1, 200)), *WORDS))

    def change(data: bytearray) -> None:
        at = rng.randrange(len(data) + 1)
        data[at : at + (len(noise) if rng.random() < 0.5 else 0)] = noise

    _change_one(conversation, rng, change)


def _cut(conversation: Conversation, rng: random.Random) -> None:
    """Remove a slice of one PDU."""

    def change(data: bytearray) -> None:
        at = rng.randrange(len(data))
        del data[at : at + rng.randint(1, len(data))]

    _change_one(conversation, rng, change)


def _repeat(conversation: Conversation, rng: random.Random) -> None:
    """Repeat a slice of one PDU."""

    def change(data: bytearray) -> None:
        at = rng.randrange(len(data))
        data[at:at] = data[at : at + rng.randint(1, 64)]

    _change_one(conversation, rng, change)


def _lose(conversation: Conversation, rng: random.Random) -> None:
    """Remove a PDU."""
    del conversation[rng.randrange(len(conversation))]


def _double(conversation: Conversation, rng: random.Random) -> None:
    """Repeat a PDU at another place."""
    conversation.insert(rng.randrange(len(conversation) + 1), rng.choice(conversation))


def _exchange(conversation: Conversation, rng: random.Random) -> None:
    """Exchange two PDUs."""
    one, other = (rng.randrange(len(conversation)) for _ in range(2))
    conversation[one], conversation[other] = conversation[other], conversation[one]


def _hang_up(conversation: Conversation, rng: random.Random) -> None:
    """Remove everything after some PDU."""
    del conversation[rng.randrange(len(conversation)) :]


def _command(conversation: Conversation, rng: random.Random) -> None:
    """Insert a well-framed command with arbitrary content."""
    numbers = (
        0x0000,
        0x0002,
        0x0100,
        0x0110,
        0x0120,
        0x0600,
        0x0700,
        0x0800,
        0x0900,
        0x1000,
        0x1031,
        rng.randrange(2**16),
    )
    values = (b"", b"\x01\x00", b"\x30\x00", b"\x01\x80", rng.randbytes(2), rng.randbytes(rng.randint(0, 40)), *WORDS)
    body = b"".join(element(rng.choice(numbers), rng.choice(values)) for _ in range(rng.randint(0, 10)))
    fragment = pdv(
        body, command=rng.random() < 0.9, last=rng.random() < 0.9, context_id=rng.choice((1, 1, 1, 3, 0, 255))
    )
    conversation.insert(rng.randint(min(1, len(conversation)), len(conversation)), p_data(fragment))


def _splice(conversation: Conversation, other: Conversation, rng: random.Random) -> None:
    """Join the beginning of one conversation to the end of another."""
    conversation[rng.randrange(len(conversation)) :] = other[rng.randrange(len(other)) :]


def _change_one(conversation: Conversation, rng: random.Random, change: Callable[[bytearray], None]) -> None:
    at = rng.randrange(len(conversation))
    data = bytearray(conversation[at])
    if data:
        change(data)
        conversation[at] = bytes(data)


MUTATIONS: tuple[Mutation, ...] = (
    *(_flip, _flip, _lie, _lie, _lie, _insert, _cut, _repeat, _lose, _double, _exchange, _hang_up, _command, _command),
)
