"""A card: which one it is (`CardId`), and how a reader saw it (`Card`).

The number is kept in full width and in wire order: a 7-byte UID is never shortened, and the EM4100's first byte,
which most printed numbers leave out, is part of it. Shorter forms are for people: `forms` writes them, `parse` and
`readings` (in `edusense.devices.card_forms`) read them back.

Sources: EM4100 and its printed forms from module data sheets and printed tags (ID-LA series p. 4, EM-18, RDM6300);
UID sizes and random identifiers from NXP AN10927 and ISO/IEC 14443-3.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from edusense.devices.card_kinds import ASSURANCES, PRINTED, TECHNOLOGIES, TEXTS, normal_kind, text_problem
from edusense.errors import CardError

if TYPE_CHECKING:
    from typing import Self

__all__ = ["ASSURANCES", "TECHNOLOGIES", "Card", "CardId"]

_TECHNOLOGY: Final = re.compile(r"[a-z][a-z0-9-]{0,23}")
_MAX_BYTES: Final = 32


@dataclass(frozen=True, slots=True, eq=False)
class CardId:
    """Which card it is: its kind and all bytes of its number.

    Two are equal when technology and all bytes are, whatever a reader called the product: a MIFARE Classic that one
    reader names so is the ISO 14443-A card of another. The same number from two technologies is two cards.

    Args:
        technology: the kind of card, as in `TECHNOLOGIES`, or a product of `card_kinds.KINDS`, which is kept in
            `product`; a driver may name others in lower case.
        uid: its number in wire order, full width; for `person` and `token` the ASCII text.
        product: what the reader says that it is beyond its technology: `mifare-classic`; no part of the identity.

    Raises:
        CardError: a number that this kind of card cannot have.

    >>> card = CardId("em4100", bytes.fromhex("010063E9AE"))
    >>> card.id, card.dec10, card.facility
    ('010063E9AE', '0006547886', '099,59822')
    >>> str(card)
    'em4100:010063E9AE'
    >>> CardId("mifare-classic", bytes.fromhex("9DCB4340")) == CardId("iso14443a", bytes.fromhex("9DCB4340"))
    True
    """

    technology: str
    uid: bytes
    product: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if not _TECHNOLOGY.fullmatch(self.technology):
            raise CardError(
                f"`{self.technology}` is no kind of card",
                hint=f"kinds are {', '.join(TECHNOLOGIES)}, or a lower-case word of a driver's own",
            )
        technology = normal_kind(self.technology)
        if technology != self.technology:
            if self.product is None and technology != "em4100":
                object.__setattr__(self, "product", self.technology)
            object.__setattr__(self, "technology", technology)
        if technology in TEXTS:
            self._check_text()
            return
        if not 0 < len(self.uid) <= _MAX_BYTES:
            raise CardError(f"a card's number of {len(self.uid)} bytes", hint=f"numbers have 1 to {_MAX_BYTES} bytes")
        lengths = TECHNOLOGIES.get(technology)
        if lengths is not None and len(self.uid) not in lengths | PRINTED.get(technology, frozenset()):
            expected = " or ".join(str(length) for length in sorted(lengths))
            raise CardError(
                f"`{self.uid.hex().upper()}` has {len(self.uid)} bytes: no number of an {technology} card",
                hint=f"{technology} numbers have {expected} bytes, two hex digits each",
            )

    def _check_text(self) -> None:
        text = self.uid.decode("ascii", "backslashreplace")
        if problem := text_problem(self.technology, text):
            raise CardError(f"`{text[:64]}` is no {self.technology}: {problem}", hint="look at what was sent or typed")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CardId):
            return NotImplemented
        return self.uid == other.uid and self.technology == other.technology

    def __hash__(self) -> int:
        return hash((self.technology, self.uid))

    def __str__(self) -> str:
        return f"{self.technology}:{self.id}"

    @property
    def kind(self) -> str:
        """What kind of card it is, as exactly as the reader said: `mifare-classic`, `em4100`."""
        return self.product or self.technology

    @property
    def id(self) -> str:
        """The number as upper-case hex in wire order, full width: what records and lists keep. A text is itself."""
        return self.uid.decode("ascii") if self.technology in TEXTS else self.uid.hex().upper()

    @property
    def partial(self) -> bool:
        """Whether only a part of the number is known: read off a print and not by a reader, or from a Wiegand line."""
        return len(self.uid) in PRINTED.get(self.technology, frozenset()) or self.technology.startswith("wiegand")

    @property
    def random_id(self) -> bool:
        """Whether this number is drawn anew at each reading, so that it can identify nobody.

        Four-byte ISO 14443-A identifiers that begin with 08 (NXP AN10927): telephones, and cards set to privacy. An
        EM4100 number or a 7-byte UID may begin with 08 as with anything else.

        >>> Card.parse("iso14443a:0804FB0E").random_id, Card.parse("em4100:080063E9AE").random_id
        (True, False)
        """
        return self.technology == "iso14443a" and len(self.uid) == 4 and self.uid[0] == 0x08

    @property
    def dec10(self) -> str | None:
        """The ten decimal digits printed on most EM4100 tags: the last four bytes; None for other cards."""
        if self.technology != "em4100" or len(self.uid) < 4:
            return None
        return f"{int.from_bytes(self.uid[-4:], 'big'):010d}"

    @property
    def facility(self) -> str | None:
        """The form `FFF,NNNNN` printed on EM4100 tags: third byte, comma, last two bytes; None for other cards."""
        if self.technology not in ("em4100", "wiegand26"):
            return None
        return f"{self.uid[-3]:03d},{int.from_bytes(self.uid[-2:], 'big'):05d}"

    def forms(self) -> dict[str, str]:
        """Every way in which this number may stand on paper or in somebody's list, by the name of the form.

        >>> CardId("iso14443a", bytes.fromhex("77242CF0")).forms()["ironlogic"]
        'Mifare[77242CF0] 044,09335'
        """
        from edusense.devices.card_forms import forms

        return forms(self)

    def matches(self, other: CardId) -> bool:
        """Whether both may be the same card: equal, or one is the printed part of the other.

        A printed part can match several cards; whoever uses this must treat more than one match as a conflict, not
        choose (`CardIndex` does).

        >>> Card.parse("099,59822").matches(Card.parse("010063E9AE"))
        True
        >>> Card.parse("02AABBCCDD").matches(Card.parse("010063E9AE"))
        False
        """
        if self.technology != other.technology:
            # A Wiegand line carries the end of an EM4100 number, and does not say of what kind the card is.
            wiegand, number = (self, other) if self.technology.startswith("wiegand") else (other, self)
            if number.technology != "em4100" or wiegand.technology not in ("wiegand26", "wiegand34"):
                return False
        elif not (self.partial or other.partial):
            return self.uid == other.uid
        length = min(len(self.uid), len(other.uid))
        return self.uid[-length:] == other.uid[-length:]

    def refuse_as_identity(self) -> None:
        """Raises where this number must not be anybody's: a number that is drawn anew, or a text from a bar code.

        Raises:
            CardError: why it identifies nobody.

        >>> CardId("iso14443a", bytes.fromhex("0804FB0E")).refuse_as_identity()
        Traceback (most recent call last):
        edusense.errors.CardError: `iso14443a:0804FB0E` is drawn anew at each reading and identifies nobody
        """
        if self.random_id:
            raise CardError(
                f"`{self}` is drawn anew at each reading and identifies nobody",
                hint="it is a telephone, or a card set to privacy: give the child a card of its own",
            )
        if self.technology == "token":
            raise CardError(f"`{self}` is what a bar code says, and no card", hint="lay the card on the reader")

    @classmethod
    def parse(cls, text: str) -> Self:
        """The card that a text means.

        | text | read as |
        | --- | --- |
        | `em4100:010063E9AE`, `iso14443a:04A1B2C3D4E5F6` | that kind, in hex: never ambiguous, so write this form |
        | `010063E9AE` | ten hex digits: EM4100 |
        | `9DCB4340`, `04A1B2C3D4E5F6`, `04:A1:B2:C3:D4:E5:F6` | 8, 14 or 20 hex digits: ISO 14443-A |
        | `0006547886` | ten decimal digits up to 4294967295: the printed number of an EM4100, `partial` |
        | `099,59822` | the other printed number of an EM4100, `partial` |
        | `reversed:AEE9630001` | the same in hex, last byte first |
        | `Em-Marine[5500] 126,58404` | a line of an IronLogic reader, all bytes of it |
        | 26, 34 or 37 ones and zeros | a frame of a Wiegand line, its parity held; `wiegand26:013,13067` without it |
        | `person:1017` | a person's number in the words of a terminal that knows people by other means |

        Some texts mean more than one card: `0006547886` is printed on EM4100 tags, and some readers write the UID of
        an ISO 14443-A card so. This reads the first; `edusense.devices.readings` names all. An EM4100 number whose ten
        hex digits are all decimal looks like a printed number too; that is why `str(card)` names the kind.

        Args:
            text: as typed, scanned or listed; spaces around it do not matter.

        Raises:
            CardError: it is none of these; the message says what was understood.

        >>> Card.parse("04:A1:B2:C3:D4:E5:F6").technology
        'iso14443a'
        >>> Card.parse("0006547886").partial
        True
        >>> Card.parse("Mifare[3AAC2280045646]  (0142,20) 004,22086").id
        '0456463AAC2280'
        """
        from edusense.devices.card_forms import parse

        return cls._parsed(*parse(text))

    @classmethod
    def _parsed(cls, technology: str, uid: bytes) -> Self:
        return cls(technology, uid)


@dataclass(frozen=True, slots=True, eq=False)
class Card(CardId):
    """One card, as it was read: which one, how much that proves, and when it was.

    Equal as `CardId`s are: not by how, where or when they were read.

    Args:
        assurance: how much the number proves: one of `ASSURANCES`.
        raw: the bytes that the reader sent for it, for diagnosis.
        at: when it was read, in Unix seconds; None for a card that was not read but parsed.

    >>> card = Card("em4100", bytes.fromhex("010063E9AE"))
    >>> card == Card.parse("010063E9AE"), card.assurance
    (True, 'uid')
    """

    assurance: str = "uid"
    raw: bytes = field(default=b"", repr=False)
    at: float | None = None

    def __post_init__(self) -> None:
        CardId.__post_init__(self)
        if self.assurance not in ASSURANCES:
            raise CardError(
                f"`{self.assurance}` is no assurance of a card", hint=f"it is one of {', '.join(ASSURANCES)}"
            )

    @property
    def identity(self) -> CardId:
        """Which card it is, without how it was read."""
        return CardId(self.technology, self.uid, product=self.product)

    @classmethod
    def _parsed(cls, technology: str, uid: bytes) -> Self:
        return cls(technology, uid, assurance="printed")
