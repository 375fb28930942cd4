"""Signatures of requests: the published example, and every way in which one can be wrong."""

from __future__ import annotations

import base64
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edusense.alerts.signing import SignatureError, digest, sign, signature_base, verify

SECRET = b"correct horse battery staple"
BODY = b'{"key":"attic-door-1/1"}'


def signed(method="PATCH", url="/alerts/cases/c/still?x=1", body=BODY, **headers):
    told = {"Idempotency-Key": "attic-door-1/1", "Upload-Offset": "0"} | headers
    return told | sign(method, url, told, body, key_id="school-51", secret=SECRET, created=1_790_000_000)


def test_the_example_of_the_standard():
    """RFC 9421, appendix B.2.5: signing a request using hmac-sha256."""
    secret = base64.b64decode(
        "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ=="
    )
    base = signature_base(
        "POST",
        "https://example.com/foo?param=Value&Pet=dog",
        {"date": "Tue, 20 Apr 2021 02:07:55 GMT", "content-type": "application/json"},
        ["date", "@authority", "content-type"],
        '("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"',
    )
    assert base64.b64encode(hmac.digest(secret, base, "sha256")) == b"pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8="


def test_the_digest_of_the_standard():
    """RFC 9530, appendix B: the digest of `{"hello": "world"}` with its line feed."""
    assert digest(b'{"hello": "world"}\n') == "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"


def test_who_signed_and_when():
    assert verify("PATCH", "/alerts/cases/c/still?x=1", signed(), BODY, secrets={"school-51": SECRET}) == (
        "school-51",
        1_790_000_000,
    )


@pytest.mark.parametrize(
    "change",
    [
        {"method": "POST"},
        {"url": "/alerts/cases/d/still?x=1"},
        {"url": "/alerts/cases/c/still?x=2"},
        {"body": BODY + b" "},
        {"secrets": {"school-51": b"another"}},
        {"secrets": {}},
        {"headers": {"Upload-Offset": "1"}},
        {"headers": {"Upload-Length": "9"}},
        {"headers": {"Idempotency-Key": "attic-door-1/2"}},
        {"headers": {"Signature": "box=:AAAA:"}},
        {"headers": {"Signature": "box=:not base64:"}},
        {"headers": {"Signature": ""}},
        {"headers": {"Signature-Input": ""}},
        {"headers": {"Content-Digest": digest(b"other")}},
    ],
)
def test_whatever_is_changed_is_noticed(change):
    call = {"method": "PATCH", "url": "/alerts/cases/c/still?x=1", "body": BODY, "secrets": {"school-51": SECRET}}
    headers = signed() | change.get("headers", {})
    call |= {key: value for key, value in change.items() if key != "headers"}
    with pytest.raises(SignatureError) as caught:
        verify(call["method"], call["url"], headers, call["body"], secrets=call["secrets"])
    assert "staple" not in str(caught.value)


def test_a_signature_that_covers_too_little_is_none():
    told = signed()
    told["Signature-Input"] = told["Signature-Input"].replace(' "content-digest"', "")
    with pytest.raises(SignatureError, match="does not cover content-digest"):
        verify("PATCH", "/alerts/cases/c/still?x=1", told, BODY, secrets={"school-51": SECRET})


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_header_of_a_stranger_does_more_than_be_refused(given_input, given_signature):
    headers = {"Signature-Input": given_input, "Signature": given_signature}
    with pytest.raises(SignatureError):
        verify("POST", "/alerts", headers, BODY, secrets={"school-51": SECRET})
