"""What a stranger may send as XML: read if it can be, refused in our words if not, never expanded, never a crash."""

from __future__ import annotations

import contextlib
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edusense.errors import DeviceProtocolError
from edusense.sim.onvif_xml import XmlError
from edusense.sim.onvif_xml import escape as sim_escape
from edusense.sim.onvif_xml import parse as sim_parse
from edusense_drivers.onvif import soap, times
from edusense_drivers.onvif.addresses import without_user
from edusense_drivers.onvif.http import Answer

ENVELOPE = '<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope"><e:Body>{}</e:Body></e:Envelope>'


def answer(body: str | bytes, status: int = 200) -> Answer:
    return Answer(status, [("Content-Type", "application/soap+xml")], body.encode() if isinstance(body, str) else body)


ENTITIES = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
BOMB = f'<!DOCTYPE a [<!ENTITY a0 "aaaaaaaaaa">{ENTITIES}]><a>&a9;</a>'  # ten thousand million letters
FILE = '<!DOCTYPE a [<!ENTITY f SYSTEM "file:///etc/passwd">]><a>&f;</a>'


@pytest.mark.parametrize("document", [BOMB, FILE, "<!DOCTYPE html><html><body>login</body></html>"])
def test_a_document_type_is_refused_by_both_halves(document):
    begun = time.process_time()
    with pytest.raises(DeviceProtocolError, match="document type"):
        soap.parse(document.encode(), "camera")
    with pytest.raises(XmlError, match="document type"):
        sim_parse(document.encode())
    assert time.process_time() - begun < 1


@given(st.binary(max_size=300))
@example(b"")
@example(b"\xff\xfe<a/>")
@example(b'<?xml version="1.0" encoding="nonsense"?><a/>')
def test_no_bytes_crash_either_parser(document):
    for read, refusal in ((lambda d: soap.parse(d, "camera"), DeviceProtocolError), (sim_parse, XmlError)):
        with contextlib.suppress(refusal):
            read(document)


@given(
    st.lists(
        st.sampled_from(
            [
                "<a>",
                "</a>",
                "<b x='1'>",
                "</b>",
                "text",
                "&amp;",
                "&bad;",
                "<![CDATA[x]]>",
                "<!--c-->",
                "\x00",
                "\udcff",
            ]
        )
    )
)
def test_no_mixture_of_tags_crashes_either_parser(parts):
    document = "".join(parts).encode("utf-8", "surrogatepass")
    for read, refusal in ((lambda d: soap.parse(d, "camera"), DeviceProtocolError), (sim_parse, XmlError)):
        with contextlib.suppress(refusal):
            read(document)


@given(st.text(max_size=50))
def test_text_that_the_simulator_writes_is_read_back(text):
    written = sim_escape(text)
    assert sim_parse(f'<a x="{written}">{written}</a>'.encode()).tag == "a"
    kept = "".join(c for c in text if " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c > "\uffff")
    read = soap.text(soap.parse(f"<r><a>{sim_escape(kept)}</a></r>".encode(), "camera"), "a")
    assert (read or "") == kept.strip()


def test_depth_is_bounded():
    with pytest.raises(XmlError, match="deeper"):
        sim_parse(b"<a>" * 100 + b"</a>" * 100)
    deep = b"<a>" * 100_000
    with contextlib.suppress(DeviceProtocolError):
        soap.parse(deep, "camera")


def test_broken_xml_of_real_cameras_is_mended():
    # Invalid UTF-8 in a name that an installer typed in another code page (quirk 26).
    body = ENVELOPE.format("<GetXResponse><Name>\xd0</Name><Next>1</Next></GetXResponse>").encode("latin-1")
    found = soap.body_of(answer(body), "GetX", "camera")
    assert soap.text(found, "Next") == "1"


def test_elements_are_found_in_any_order_and_namespace():
    body = ENVELOPE.format('<GetXResponse xmlns="urn:odd"><b xmlns="urn:other"><c> 7 </c></b><a/></GetXResponse>')
    found = soap.body_of(answer(body), "GetX", "camera")
    assert soap.number(found, "b", "c") == 7
    assert soap.text(found, "a") is None
    assert soap.child(found, "nothing", "below") is None


@pytest.mark.parametrize("said", ["nan", "inf", "-3", "1e400", "", "12 apples", "9" * 40])
def test_what_is_no_number_is_none(said):
    assert soap.number(soap.parse(f"<r><n>{said}</n></r>".encode(), "camera"), "n") is None


def test_faults_of_both_soap_versions_are_read():
    new = ENVELOPE.format(
        "<e:Fault><e:Code><e:Value>e:Sender</e:Value><e:Subcode><e:Value>ter:InvalidArgVal</e:Value><e:Subcode>"
        "<e:Value>ter:NoProfile</e:Value></e:Subcode></e:Subcode></e:Code><e:Reason><e:Text>no\n such</e:Text>"
        "</e:Reason></e:Fault>"
    )
    fault = soap.body_of(answer(new, 400), "GetX", "camera")
    assert isinstance(fault, soap.SoapFault)
    assert fault.codes == ("InvalidArgVal", "NoProfile")
    assert str(fault) == "no such (InvalidArgVal/NoProfile)"
    assert not fault.about_login
    old = soap.body_of(
        answer(
            ENVELOPE.format("<e:Fault><faultcode>ter:NotAuthorized</faultcode><faultstring>x</faultstring></e:Fault>")
        ),
        "GetX",
        "camera",
    )
    assert isinstance(old, soap.SoapFault)
    assert old.about_login


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ("", 200, "not XML: nothing"),
        ("<html><body>Please log in</body></html>", 200, "`<html><body>Please log in"),
        ("not found", 404, "HTTP 404"),
        (ENVELOPE.format(""), 200, "empty envelope"),
        (ENVELOPE.format("<GetYResponse/>"), 200, "answers GetX with `GetYResponse`"),
    ],
)
def test_an_answer_that_makes_no_sense_says_what_came_instead(body, status, message):
    with pytest.raises(DeviceProtocolError, match=message) as caught:
        soap.body_of(answer(body, status), "GetX", "camera")
    assert "GetX" in caught.value.message


def clock(inner: str):
    now = datetime(2026, 9, 1, 8, 0, tzinfo=UTC).timestamp()
    return times.read_clock(soap.parse(f"<r><SystemDateAndTime>{inner}</SystemDateAndTime></r>".encode(), "c"), now)


def moment(name: str, text: str) -> str:
    date, _, of_day = text.partition(" ")
    year, month, day = date.split("-")
    hour, minute, second = of_day.split(":")
    return (
        f"<{name}><Date><Year>{year}</Year><Month>{month}</Month><Day>{day}</Day></Date>"
        f"<Time><Hour>{hour}</Hour><Minute>{minute}</Minute><Second>{second}</Second></Time></{name}>"
    )


@pytest.mark.parametrize(
    ("inner", "offset_s"),
    [
        (moment("UTCDateTime", "2026-09-01 08:00:30"), 30.5),
        # Minute 61, as one camera shows it for a minute each hour (quirk 4).
        (moment("UTCDateTime", "2026-09-01 07:61:00"), 60.5),
        # No UTC: local time and a POSIX zone, whose sign counts westwards.
        ("<TimeZone><TZ>&lt;+05&gt;-5</TZ></TimeZone>" + moment("LocalDateTime", "2026-09-01 13:00:00"), 0.5),
        ("<TimeZone><TZ>CST-8</TZ></TimeZone>" + moment("LocalDateTime", "2026-09-01 16:00:10"), 10.5),
        # Dates before the first NTP answer, and none at all.
        (moment("UTCDateTime", "0-0-0 00:00:00"), None),
        (moment("LocalDateTime", "2026-09-01 13:00:00"), None),
        ("", None),
    ],
)
def test_the_clock_is_read_as_cameras_tell_it(inner, offset_s):
    assert clock(inner).offset_s == offset_s


@given(st.text(max_size=30))
def test_no_time_zone_crashes(zone):
    found = times.posix_offset(zone)
    assert found is None or abs(found) < timedelta(hours=101)


@pytest.mark.parametrize(
    "url", ["rtsp://u:p@10.0.0.5/a", "rtsp://u:p@h@10.0.0.5/a", "u:p@10.0.0.5", "http://u@10.0.0.5"]
)
def test_no_user_or_password_is_left_in_a_url(url):
    assert "@" not in without_user(url)
    assert "10.0.0.5" in without_user(url)
