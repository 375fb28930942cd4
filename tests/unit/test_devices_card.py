"""Cards: full width, the printed forms, and published numbers that agree with printed tags."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edusense.devices import ASSURANCES, TECHNOLOGIES, Card
from edusense.errors import CardError

# tag, dec10, FFF,NNNNN: published with the frame or printed on the tag (sources: test_driver_em4100_frames.py).
TAGS = [
    ("010063E9AE", "0006547886", "099,59822"),
    ("3C00CE754C", "0013530444", "206,30028"),
    ("0C000621A5", "0000401829", "006,08613"),
    ("4500C5D1E9", "0012964329", "197,53737"),
    ("307E4DE5C2", "2119034306", "077,58818"),
    ("62E3086CED", "3808980205", "008,27885"),
    ("06008E6D5D", "0009334109", "142,27997"),
]


@pytest.mark.parametrize(("tag", "dec10", "facility"), TAGS)
def test_printed_forms_of_published_tags(tag: str, dec10: str, facility: str) -> None:
    card = Card.parse(f"em4100:{tag}")
    assert (card.id, card.dec10, card.facility) == (tag, dec10, facility)
    for form in (tag, dec10, facility):
        assert Card.parse(form).matches(card)
        assert card.matches(Card.parse(form))
    assert Card.parse(dec10).partial
    assert Card.parse(facility).partial
    assert not card.partial


def test_a_printed_number_that_was_published_wrong_is_not_the_tags() -> None:
    # The Seeed 113020002 data sheet prints "60717296877 = E3086CED"; E3086CED is 3808980205.
    with pytest.raises(CardError):
        Card.parse("60717296877")
    assert Card.parse("em4100:62E3086CED").dec10 == "3808980205"


@pytest.mark.parametrize(
    ("text", "technology", "number"),
    [
        ("010063E9AE", "em4100", "010063E9AE"),
        (" 010063e9ae\n", "em4100", "010063E9AE"),
        ("01:00:63:E9:AE", "em4100", "010063E9AE"),
        ("em4100:0600123456", "em4100", "0600123456"),
        ("0006547886", "em4100", "0063E9AE"),
        ("099,59822", "em4100", "63E9AE"),
        ("99, 59822", "em4100", "63E9AE"),
        ("em4100:099,59822", "em4100", "63E9AE"),
        ("9DCB4340", "iso14443a", "9DCB4340"),
        ("04 A1 B2 C3 D4 E5 F6", "iso14443a", "04A1B2C3D4E5F6"),
        ("04-A1-B2-C3-D4-E5-F6", "iso14443a", "04A1B2C3D4E5F6"),
        ("iso14443a:04:A1:B2:C3:D4:E5:F6", "iso14443a", "04A1B2C3D4E5F6"),
        ("00112233445566778899", "iso14443a", "00112233445566778899"),
        ("4500123456", "em4100", "4500123456"),  # beyond 32 bits it cannot be a printed number
        ("legic:0011223344", "legic", "0011223344"),
    ],
)
def test_texts_that_mean_a_card(text: str, technology: str, number: str) -> None:
    card = Card.parse(text)
    assert (card.technology, card.id) == (technology, number)
    assert card.assurance == "printed"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "123",
        "0x010063E9AE",
        "010063E9A",
        "010063E9AEF0",
        "256,00001",
        "099,65536",
        "099,59822x",
        "em4100:04A1B2C3D4E5F6",
        "iso14443a:010063E9AE",
        "iso14443a:",
        "iso14443a:xyz",
        "٠٠٠٦٥٤٧٨٨٦x",
        "9DCB434",
    ],
)
def test_texts_that_mean_none_say_what_was_expected(text: str) -> None:
    with pytest.raises(CardError) as caught:
        Card.parse(text)
    assert caught.value.hint
    assert caught.value.exit_status == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("EM4100", bytes(5)),
        ("em4100", b""),
        ("em4100", bytes(6)),
        ("iso14443a", bytes(5)),
        ("own-kind", bytes(33)),
        ("em4100", bytes(5), "certain"),
    ],
)
def test_impossible_cards_are_refused(arguments: tuple[str, bytes]) -> None:
    with pytest.raises(CardError):
        Card(*arguments)


def test_random_identifiers_are_flagged_and_nothing_else() -> None:
    assert Card("iso14443a", bytes.fromhex("0804FB0E")).random_id
    assert not Card("iso14443a", bytes.fromhex("08A1B2C3D4E5F6")).random_id
    assert not Card("iso14443a", bytes.fromhex("FB0EE20B")).random_id
    assert not Card("em4100", bytes.fromhex("080063E9AE")).random_id


def test_a_card_is_its_kind_and_all_its_bytes() -> None:
    first = Card("em4100", bytes.fromhex("010063E9AE"), "uid", b"\x02", 1.0)
    assert first == Card("em4100", first.uid, "printed", b"", 2.0)
    assert len({first, Card("em4100", first.uid)}) == 1
    assert first != Card("em4100", bytes.fromhex("020063E9AE"))
    # The same printed number from two kinds is two cards.
    assert not Card("own-kind", first.uid).matches(first)


@given(st.sampled_from(sorted(TECHNOLOGIES)), st.data())
def test_what_is_written_is_read_back(technology: str, data: st.DataObject) -> None:
    length = data.draw(st.sampled_from(sorted(TECHNOLOGIES[technology])))
    card = Card(technology, data.draw(st.binary(min_size=length, max_size=length)))
    assert Card.parse(str(card)) == card


@given(st.binary(min_size=5, max_size=5))
def test_every_printed_form_matches_its_tag(uid: bytes) -> None:
    card = Card("em4100", uid)
    assert card.dec10 is not None
    assert card.facility is not None
    assert Card.parse(card.dec10).matches(card)
    assert Card.parse(card.facility).matches(card)


@given(st.text(max_size=40))
def test_any_text_is_a_card_or_a_card_error(text: str) -> None:
    try:
        card = Card.parse(text)
    except CardError as error:
        assert error.hint  # noqa: PT017 -- both outcomes are right
    else:
        assert card.assurance in ASSURANCES
