"""Addresses of devices."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edusense.devices import Address, open_reader
from edusense.errors import UsageError


@pytest.mark.parametrize(
    ("text", "driver", "target", "options"),
    [
        ("rdm6300:/dev/ttyUSB0", "rdm6300", "/dev/ttyUSB0", {}),
        ("rdm6300:/dev/ttyUSB0?baud=19200&silence=0.5", "rdm6300", "/dev/ttyUSB0", {"baud": "19200", "silence": "0.5"}),
        ("ccid:", "ccid", "", {}),
        ("ccid:072f:2200?serial=A%20B", "ccid", "072f:2200", {"serial": "A B"}),
        ("ccid:sim:/tmp/x", "ccid", "sim:/tmp/x", {}),
        ("onvif:http://10.0.0.5:8080/onvif?a=1", "onvif", "http://10.0.0.5:8080/onvif?a=1", {}),
        ("my-own:", "my-own", "", {}),
    ],
)
def test_addresses_and_their_parts(text: str, driver: str, target: str, options: dict[str, str]) -> None:
    address = Address(text)
    assert (address, address.driver, address.target, address.options) == (text, driver, target, options)
    assert Address(address) is address
    again = pickle.loads(pickle.dumps(address))
    assert (again, again.driver, copy.copy(address).target) == (text, driver, target)


@pytest.mark.parametrize(
    "text", ["", "/dev/ttyUSB0", "canteen", ":x", "RDM:x", "a:b?c", "a:b?c=1&c=2", "a b:c", "-a:b", "a--b:c"]
)
def test_texts_that_are_no_address(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        Address(text)
    assert caught.value.hint


def test_a_path_alone_is_answered_with_the_address_it_may_mean() -> None:
    with pytest.raises(UsageError) as caught:
        Address("/dev/ttyACM3")
    assert "rdm6300:/dev/ttyACM3" in str(caught.value.hint)


@pytest.mark.parametrize("value", ["x", "", "nan", "inf", "-1", "61"])
def test_numbers_outside_their_limits(value: str) -> None:
    with pytest.raises(UsageError, match="silence"):
        Address(f"rdm6300:x?silence={value}").number("silence", 0.3, low=0.3, high=60)


def test_numbers_within_and_their_default() -> None:
    address = Address("rdm6300:x?silence=2")
    assert address.number("silence", 0.3, low=0.3, high=60) == 2.0
    assert address.number("baud", 9600, low=1, high=10_000) == 9600


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_a_usage_error(text: str) -> None:
    try:
        assert Address(text) == text
    except UsageError as error:
        assert error.hint  # noqa: PT017 -- both outcomes are right


@pytest.mark.parametrize("address", [None, 7, Path("/dev/ttyUSB0"), b"rdm6300:/dev/ttyUSB0"])
def test_what_is_no_text_is_no_address(address: Any):
    with pytest.raises(UsageError, match="an address is text, not "):
        open_reader(address)
