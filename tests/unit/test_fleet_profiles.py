"""Which stream is meant by `main` and `sub`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edusense.devices.camera import CameraProfile
from edusense.errors import SiteReferenceError
from edusense.fleet import choose


def profile(
    token: str, width: int | None = None, height: int | None = None, encoding: str | None = "H264", kbit: int = 0
):
    return CameraProfile(token, f"name of {token}", width, height, 25, kbit, encoding)


FULL, SMALL, TINY = profile("a", 1920, 1080), profile("b", 640, 480), profile("c", 320, 240)
MIDDLE = profile("d", 1280, 720)


@pytest.mark.parametrize(
    ("profiles", "main", "sub"),
    [
        ([FULL, SMALL], "a", "b"),
        ([SMALL, FULL], "a", "b"),
        ([FULL, MIDDLE, SMALL, TINY], "a", "b"),
        ([FULL, MIDDLE, TINY], "a", "c"),  # 320 x 240 is nearer to 640 x 360 than 1280 x 720 is
        ([FULL], "a", "a"),
        ([FULL, profile("a2", 1920, 1080)], "a", "a"),
        ([profile("j", 3840, 2160, "JPEG"), FULL, SMALL], "a", "b"),
        ([profile("j", 640, 360, "JPEG")], "j", "j"),
        # H.265, which Media1 has no words for: no encoder configuration, hence no size.
        ([profile("h", encoding=None), SMALL], "h", "b"),
        ([FULL, profile("h", encoding=None)], "a", "a"),
        ([profile("h", encoding=None), profile("i", encoding=None)], "h", "h"),
    ],
)
def test_roles_go_by_size(profiles, main, sub):
    assert choose(profiles, "main").token == main
    assert choose(profiles, "sub").token == sub


def test_the_higher_bit_rate_decides_between_two_of_one_size():
    twins = [profile("low", 1920, 1080, kbit=1000), profile("high", 1920, 1080, kbit=6000)]
    assert choose(twins, "main").token == "high"


def test_a_name_goes_before_a_role():
    named = CameraProfile("x", "Main", 320, 240)
    assert choose([FULL, named], "main") is named
    assert choose([FULL, SMALL], "b") is SMALL
    assert choose([FULL, SMALL], "NAME OF B") is SMALL


def test_an_unknown_name_tells_those_that_there_are():
    with pytest.raises(SiteReferenceError, match="`205-front` has no profile `third`") as caught:
        choose([FULL, SMALL], "third", "205-front")
    assert "`name of a`, `name of b`" in caught.value.hint


@given(
    st.lists(
        st.tuples(
            st.none() | st.integers(1, 5000),
            st.none() | st.integers(1, 5000),
            st.sampled_from(["H264", "H265", "JPEG", None]),
        ),
        min_size=1,
    )
)
def test_there_is_always_a_main_and_a_sub_no_larger_than_it(sizes):
    profiles = [profile(str(number), *size) for number, size in enumerate(sizes)]
    main, sub = choose(profiles, "main"), choose(profiles, "sub")
    assert not main.pixels or sub.pixels <= main.pixels
