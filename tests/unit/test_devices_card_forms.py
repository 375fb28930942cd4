"""The forms of a number on paper: written, read back, and ambiguity said instead of guessed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edusense.devices import Card, CardId, CardIndex, readings
from edusense.devices.card_kinds import KINDS
from edusense.devices.wiegand import WIDTHS, bits_of, pack, parity_problem, unpack
from edusense.errors import CardError

# Lines that public programs captured, and the number worked out by position (ironlogic_lines.py has the reasoning).
IRONLOGIC = [
    ("Em-Marine[5500] 126,58404", "em4100:55007EE424"),
    ("Em-Marine[1700] 009,22847", "em4100:170009593F"),
    ("Mifare[77242CF0]  (0004,88) 044,09335", "iso14443a:77242CF0"),
    ("Mifare[3AAC2280045646]  (0142,20) 004,22086", "iso14443a:0456463AAC2280"),
    ("Mifare[FA592F830412E6] UL (0144,00) 004,04838", "iso14443a:0412E6FA592F83"),
    ("Mifare[81895266340051] UL (0144,00) 052,00081", "iso14443a:34005181895266"),
    ("19997 Mifare[62D22F80041B4B]  (0144,08) 004,06987", "iso14443a:041B4B62D22F80"),
]


@pytest.mark.parametrize(("line", "card"), IRONLOGIC)
def test_a_line_of_an_ironlogic_reader_is_a_card(line: str, card: str) -> None:
    assert str(CardId.parse(line)) == card


def test_rotation_goes_by_position_and_not_by_the_manufacturers_byte() -> None:
    # A UID may hold 04 anywhere; a reader that searched for it would turn these differently.
    for uid in ("34040181890466", "04040404040404", "0404018104FF66"):
        card = CardId("iso14443a", bytes.fromhex(uid))
        assert CardId.parse(card.forms()["ironlogic"]) == card


def test_a_line_whose_decimals_deny_its_digits_is_no_card() -> None:
    with pytest.raises(CardError, match="067,52125"):
        CardId.parse("Mifare[9DCB4340] 1K (0004,08) 067,52126")


@pytest.mark.parametrize(
    ("frame", "width", "data"),
    [
        (0x21A6616, 26, 13 << 16 | 13067),  # r/AskElectronics: facility 13, card 13067, both parities right
        (0x2FDC848, 26, 126 << 16 | 58404),
        (0x0C7D35D, 34, 0x0063E9AE),
    ],
)
def test_published_wiegand_frames(frame: int, width: int, data: int) -> None:
    assert unpack(frame, width) == data
    assert pack(data, width) == frame
    assert parity_problem(frame, width) is None
    card = CardId.parse(bits_of(frame, width))
    assert (card.technology, int.from_bytes(card.uid, "big")) == (f"wiegand{width}", data)


def slow_pack(data: int, width: int) -> str:
    """The frame bit by bit, as the formats' descriptions have it."""
    bits = f"{data:0{width - 2}b}"
    covered = WIDTHS[width]
    even = bits[:covered].count("1") % 2
    odd = 1 - bits[-covered:].count("1") % 2
    return f"{even}{bits}{odd}"


@given(st.sampled_from(sorted(WIDTHS)), st.data())
def test_frames_are_the_descriptions_and_each_wrong_bit_shows(width: int, data: st.DataObject) -> None:
    value = data.draw(st.integers(0, (1 << (width - 2)) - 1))
    frame = pack(value, width)
    assert bits_of(frame, width) == slow_pack(value, width)
    wrong = frame ^ 1 << data.draw(st.integers(0, width - 1))
    # The middle bit of 37 stands under both parities; every other under one. All are seen.
    assert parity_problem(wrong, width) is not None
    with pytest.raises(CardError, match="parity"):
        CardId.parse(bits_of(wrong, width))


@given(st.binary(min_size=5, max_size=5))
def test_every_form_of_a_tag_is_among_the_readings_of_that_form(uid: bytes) -> None:
    card = CardId("em4100", uid)
    for name, text in card.forms().items():
        if name.startswith("wiegand"):
            frame = bits_of(int(text, 16), int(name.removeprefix("wiegand")))
            assert CardId.parse(frame).matches(card)
        else:
            found = readings(text)
            assert any(other.matches(card) for other in found), (name, text, found)


@given(st.sampled_from([4, 7, 10]), st.data())
def test_every_form_of_a_uid_is_among_the_readings_of_that_form(length: int, data: st.DataObject) -> None:
    card = CardId("iso14443a", data.draw(st.binary(min_size=length, max_size=length)))
    for name, text in card.forms().items():
        if name == "facility":  # leaves a byte out: an EM4100 reader would print the same
            continue
        if "decimal" in name and int(text) > 0xFFFFFFFF:
            continue
        assert card in readings(text), (name, text)


def test_a_text_that_may_be_two_cards_is_told_as_such() -> None:
    assert len(readings("0006547886")) > 1
    assert CardId.parse("iso14443a:0063E9AE") in readings("0006547886")
    assert readings("em4100:0006547886") == (CardId.parse("em4100:0006547886"),)
    assert [str(card) for card in readings("099,59822")] == ["em4100:63E9AE", "wiegand26:63E9AE"]
    assert [str(card) for card in readings("9DCB4340")] == [
        "iso14443a:9DCB4340",
        "iso14443a:4043CB9D",
        "em4100:9DCB4340",
    ]


@given(st.text(max_size=60))
def test_any_text_has_readings_or_says_why_not(text: str) -> None:
    try:
        found = readings(text)
    except CardError as error:
        assert error.hint  # noqa: PT017 -- both outcomes are right
    else:
        assert found[0] == CardId.parse(text)


def test_hex_in_the_other_order_is_written_as_such() -> None:
    assert CardId.parse("reversed:AEE9630001") == CardId.parse("em4100:010063E9AE")
    assert CardId.parse("iso14443a:reversed:4043CB9D") == CardId.parse("9DCB4340")
    with pytest.raises(CardError):
        CardId.parse("reversed:person:1017")
    with pytest.raises(CardError):
        CardId.parse("wiegand26:reversed:0D330B")


@pytest.mark.parametrize("product", sorted(KINDS))
def test_a_product_is_its_technology_to_other_readers(product: str) -> None:
    uid = bytes(range(1, 6)) if KINDS[product] == "em4100" else bytes(range(1, 8))
    card = Card(product, uid)
    assert card == Card(KINDS[product], uid)
    assert hash(card) == hash(CardId(KINDS[product], uid))
    assert str(card) == str(Card(KINDS[product], uid))
    assert card.kind == (product if KINDS[product] != "em4100" else "em4100")


def test_a_reading_and_its_identity_are_the_same_card() -> None:
    card = Card("iso14443a", bytes(7), "uid", b"frame", 12.0, product="ntag")
    assert card == card.identity
    assert card.identity.product == "ntag"
    assert {card: 1}[card.identity] == 1
    assert card != "iso14443a:00000000000000"


@pytest.mark.parametrize("number", ["iso14443a:0804FB0E", "token:EW-2026-000017"])
def test_what_is_nobodys_identity_is_refused(number: str) -> None:
    with pytest.raises(CardError) as caught:
        CardId.parse(number).refuse_as_identity()
    assert caught.value.hint


@pytest.mark.parametrize("number", ["em4100:0804FB0E11", "iso14443a:08A1B2C3D4E5F6", "person:1017"])
def test_what_may_be_somebodys_identity_is_not(number: str) -> None:
    CardId.parse(number).refuse_as_identity()


@pytest.mark.parametrize("text", ["person:", "person:10 17", "person:" + "1" * 33, "person:١٢", "token:", "token: x"])
def test_texts_that_are_no_persons_number_or_token(text: str) -> None:
    # A token's text is trimmed where a person types it.
    if text == "token: x":
        assert CardId.parse(text).id == "x"
        return
    with pytest.raises(CardError):
        CardId.parse(text)


class TestCardIndex:
    def test_a_printed_number_finds_its_card(self) -> None:
        index: CardIndex[str] = CardIndex()
        index.add(CardId.parse("em4100:010063E9AE"), "A")
        index.add(CardId.parse("iso14443a:9DCB4340"), "B")
        for text in ("010063E9AE", "0006547886", "099,59822", "wiegand26:63E9AE", "wiegand34:0063E9AE"):
            assert index.find(CardId.parse(text)) == ("A",), text
        assert index.find(CardId.parse("9DCB4340")) == ("B",)
        assert index.find(CardId.parse("em4100:9DCB434011")) == ()

    def test_a_card_of_which_only_the_print_is_listed_is_found(self) -> None:
        index: CardIndex[str] = CardIndex()
        index.add(CardId.parse("0006547886"), "A")
        index.add(CardId.parse("206,30028"), "B")
        assert index.find(CardId.parse("010063E9AE")) == ("A",)
        assert index.find(CardId.parse("3C00CE754C")) == ("B",)
        # The same bytes as another kind of card are another card.
        assert index.find(CardId.parse("iso14443a:0063E9AE")) == ()

    def test_several_owners_are_told_and_none_chosen(self) -> None:
        index: CardIndex[str] = CardIndex()
        index.add(CardId.parse("em4100:010063E9AE"), "A")
        index.add(CardId.parse("em4100:020063E9AE"), "B")
        assert index.find(CardId.parse("0006547886")) == ("A", "B")
        assert index.find(CardId.parse("020063E9AE")) == ("B",)
        assert not list(index.conflicts())
        assert [digits for digits, _ in index.printed_alike()] == ["0006547886"]

    def test_a_printed_entry_that_is_anothers_card_is_a_conflict(self) -> None:
        index: CardIndex[str] = CardIndex()
        index.add(CardId.parse("em4100:010063E9AE"), "A")
        index.add(CardId.parse("099,59822"), "B")
        assert [(str(card), owners) for card, owners in index.conflicts()] == [("em4100:63E9AE", ("B", "A"))]

    def test_the_same_digits_on_two_kinds_of_cards_are_two_cards(self) -> None:
        index: CardIndex[str] = CardIndex()
        index.add(CardId.parse("em4100:010063E9AE"), "A")
        index.add(CardId.parse("iso14443a:0063E9AE"), "B")
        assert index.find(CardId.parse("010063E9AE")) == ("A",)
        assert index.find(CardId.parse("iso14443a:0063E9AE")) == ("B",)
        ((digits, cards),) = index.printed_alike()
        assert digits == "0006547886"
        assert sorted(cards.values()) == ["A", "B"]

    def test_what_was_added_can_be_taken_back(self) -> None:
        index: CardIndex[str] = CardIndex()
        first, second = CardId.parse("em4100:010063E9AE"), CardId.parse("em4100:020063E9AE")
        index.add(first, "A")
        index.add(second, "A")
        index.remove(first, "A")
        index.remove(first, "A")
        assert index.find(first) == ()
        assert index.find(CardId.parse("099,59822")) == ("A",)
        index.remove(second, "A")
        assert index.find(CardId.parse("099,59822")) == ()
        assert not list(index.printed_alike())
