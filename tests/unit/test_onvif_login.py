"""Logging in: the client's half and the simulator's half, each written from the standard, held against each other."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from edusense.sim.onvif_auth import Guard, StaleNonceFault
from edusense.sim.onvif_http import Request
from edusense.sim.onvif_xml import Fault, parse
from edusense_drivers.onvif.auth import Challenge, Digest, challenges, token

NOW = 1_788_000_000.0


def guard(**settings) -> Guard:
    return Guard(lambda: {"edusense": "correct horse"}, lambda: NOW, **settings)


def header_of(security) -> object:
    return parse(b"<Header>" + etree.tostring(security) + b"</Header>")


def test_a_token_is_accepted_once_and_its_repetition_is_not():
    device = guard()
    said = header_of(token("edusense", "correct horse", NOW))
    assert device.check_token(said)
    with pytest.raises(Fault, match="replayed nonce"):
        device.check_token(said)


@pytest.mark.parametrize(("skew", "accepted"), [(0, True), (299, True), (-299, True), (302, False), (-302, False)])
def test_a_token_may_be_five_minutes_off(skew, accepted):
    said = header_of(token("edusense", "correct horse", NOW + skew))
    if accepted:
        assert guard().check_token(said)
    else:
        with pytest.raises(Fault, match="clock"):
            guard().check_token(said)


@pytest.mark.parametrize(("user", "password"), [("edusense", "wrong"), ("nobody", "correct horse"), ("", "")])
def test_a_wrong_token_is_refused_and_counted(user, password):
    device = guard()
    with pytest.raises(Fault) as caught:
        device.check_token(header_of(token(user, password, NOW)))
    assert caught.value.subcodes == ("ter:NotAuthorized",)
    assert device.failures == 1


def test_the_token_is_the_one_of_the_standard():
    security = token("user", "userpassword", 1284557837, nonce=base64.b64decode("LKqI6G/AikKCQrN0zqZFlg=="))
    said = parse(etree.tostring(security)).find("UsernameToken")
    # The example of the ONVIF application programmer's guide, section 6.1.1.3.
    assert said.value("Created") == "2010-09-15T13:37:17Z"
    nonce, created = base64.b64decode("LKqI6G/AikKCQrN0zqZFlg=="), b"2010-09-15T13:37:17Z"
    wanted = base64.b64encode(hashlib.sha1(nonce + created + b"userpassword").digest()).decode()
    assert said.value("Password") == wanted


def plain(password: str) -> object:
    return parse(
        "<Header><Security><UsernameToken><Username>edusense</Username>"
        f"<Password Type='urn:x#PasswordText'>{password}</Password></UsernameToken></Security></Header>".encode()
    )


def test_a_password_in_clear_is_refused_unless_allowed():
    with pytest.raises(Fault, match="PasswordText"):
        guard().check_token(plain("correct horse"))
    assert guard(allow_password_text=True).check_token(plain("correct horse"))
    with pytest.raises(Fault, match="wrong user or password"):
        guard(allow_password_text=True).check_token(plain("wrong"))


@given(st.binary(max_size=120))
def test_no_token_crashes_the_guard(junk):
    text = base64.b64encode(junk).decode()
    for created in (text, "2026-13-99T00:00:00Z", "2026-09-01"):
        said = parse(
            f"<Header><Security><UsernameToken><Username>{text}</Username><Password>{text}</Password>"
            f"<Nonce>{text}</Nonce><Created>{created}</Created></UsernameToken></Security></Header>".encode()
        )
        with pytest.raises(Fault):
            guard().check_token(said)


def request(authorization: str, method: str = "POST", target: str = "/onvif/device_service") -> Request:
    return Request(method, target, "", {"authorization": authorization}, b"")


@pytest.mark.parametrize("algorithms", [("MD5",), ("SHA-256",), ("MD5", "SHA-256")])
def test_digest_round_trip_takes_the_stronger_hash_and_counts(algorithms):
    device = guard(algorithms=algorithms)
    found = challenges([value for _, value in device.challenges()])
    best = Digest.best(found)
    assert best is not None
    assert best.algorithm == ("SHA-256" if "SHA-256" in algorithms else "MD5")
    login = Digest(best, "edusense", "correct horse")
    said = login.header("POST", "/onvif/device_service")
    assert device.check_digest(request(said))
    assert device.check_digest(request(login.header("POST", "/onvif/device_service")))
    with pytest.raises(StaleNonceFault):
        device.check_digest(request(said))  # a count that was used
    with pytest.raises(Fault, match="another address"):
        device.check_digest(request(login.header("POST", "/onvif/media_service")))
    assert device.failures == 0
    with pytest.raises(Fault, match="wrong"):
        device.check_digest(request(Digest(best, "edusense", "x").header("POST", "/onvif/device_service")))
    assert device.failures == 1


def test_digest_is_the_one_of_rfc_2617():
    challenge = Challenge(
        "digest",
        {
            "realm": "testrealm@host.com",
            "qop": "auth,auth-int",
            "nonce": "dcd98b7102dd2f0e8b11d0f600bfb0c093",
            "opaque": "5ccc",
        },
    )
    said = Digest(challenge, "Mufasa", "Circle Of Life").header("GET", "/dir/index.html", cnonce="0a4f113b")
    assert 'response="6629fae49393a05397450978507c4ef1"' in said
    assert 'opaque="5ccc"' in said


@pytest.mark.parametrize(
    ("headers", "schemes"),
    [
        (['Digest realm="a, b", nonce="1", qop="auth"', 'Basic realm="x"'], ["digest", "basic"]),
        (['Digest realm="a", nonce="1", algorithm=SHA-256, Digest realm="a", nonce="2"'], ["digest", "digest"]),
        (["Negotiate", "NTLM"], ["negotiate", "ntlm"]),
        ([""], []),
        (["===,,,"], []),
    ],
)
def test_challenges_are_read_in_one_header_or_several(headers, schemes):
    assert [one.scheme for one in challenges(headers)] == schemes


@given(st.lists(st.text(max_size=200), max_size=4))
def test_no_challenge_crashes(headers):
    Digest.best(challenges(headers))


@given(st.text(max_size=20), st.text(max_size=20))
def test_quotes_in_user_and_realm_do_not_break_the_header(user, realm):
    said = Digest(Challenge("digest", {"nonce": "1", "realm": realm}), user, "p").header("GET", "/")
    read = challenges([said])
    assert read[0].parameters["nonce"] == "1"


def test_what_we_cannot_answer_is_not_chosen():
    assert (
        Digest.best(
            challenges(['Digest nonce="1", algorithm=SHA-512-256', 'Digest nonce="2", qop="auth-int"', "Digest"])
        )
        is None
    )
