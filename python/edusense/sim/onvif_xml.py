"""SOAP 1.2 as a device reads and writes it: a parser that refuses document types, and faults in ONVIF's words.

Requests come from strangers, so the parser is expat with its dangerous parts refused: no DOCTYPE, hence no entities,
internal or external; at most 64 levels and 10,000 elements. Sources: SOAP 1.2 part 1 (W3C), ONVIF Core Specification
5.8 (faults).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat
from xml.sax.saxutils import escape as _escape

__all__ = ["NAMESPACES", "Element", "Fault", "XmlError", "envelope", "escape", "parse"]

NAMESPACES: Final = {
    "env": "http://www.w3.org/2003/05/soap-envelope",
    "ter": "http://www.onvif.org/ver10/error",
    "tt": "http://www.onvif.org/ver10/schema",
    "tds": "http://www.onvif.org/ver10/device/wsdl",
    "trt": "http://www.onvif.org/ver10/media/wsdl",
    "tr2": "http://www.onvif.org/ver20/media/wsdl",
    "timg": "http://www.onvif.org/ver20/imaging/wsdl",
    "tev": "http://www.onvif.org/ver10/events/wsdl",
    "tns1": "http://www.onvif.org/ver10/topics",
    "wsnt": "http://docs.oasis-open.org/wsn/b-2",
    "wstop": "http://docs.oasis-open.org/wsn/t-1",
    "wsa5": "http://www.w3.org/2005/08/addressing",
    "axis": "http://www.axis.com/2009/event",
    "dn": "http://www.onvif.org/ver10/network/wsdl",
    "wsse": "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd",
    "wsu": "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd",
    "wsa": "http://schemas.xmlsoap.org/ws/2004/08/addressing",
    "wsd": "http://schemas.xmlsoap.org/ws/2005/04/discovery",
}
"""Prefix to namespace, as everything in this simulator writes them."""

DEPTH_LIMIT: Final = 64
ELEMENT_LIMIT: Final = 10_000


class XmlError(ValueError):
    """What came is not XML that a device takes."""


@dataclass(slots=True)
class Element:
    """An XML element. `tag` is `{namespace}name`, as everywhere in Python; attributes with a namespace likewise."""

    tag: str
    attributes: dict[str, str]
    text: str = ""
    children: list[Element] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The tag without its namespace."""
        return self.tag.rpartition("}")[2]

    @property
    def namespace(self) -> str:
        """The tag's namespace; empty where there is none."""
        return self.tag[1:].rpartition("}")[0] if self.tag.startswith("{") else ""

    def find(self, *names: str) -> Element | None:
        """The first child of that local name, and so on downwards; None where there is none."""
        here: Element | None = self
        for name in names:
            here = next((child for child in here.children if child.name == name), None) if here else None
        return here

    def value(self, *names: str) -> str:
        """The text of what `find` finds, stripped; empty where there is none."""
        found = self.find(*names)
        return found.text.strip() if found else ""


def parse(document: bytes) -> Element:
    """Reads an XML document.

    Raises:
        XmlError: it is not well-formed, has a DOCTYPE, or is deeper or larger than any honest request.

    >>> parse(b"<a xmlns='urn:x'><b c='1'>text</b></a>").value("b")
    'text'
    >>> parse(b"<!DOCTYPE a><a/>")
    Traceback (most recent call last):
    edusense.sim.onvif_xml.XmlError: a document type is not allowed
    """
    parser = expat.ParserCreate(namespace_separator="}")
    parser.buffer_text = True
    root = Element("", {})
    stack = [root]
    count = 0

    def named(name: str) -> str:
        return f"{{{name}" if "}" in name else name

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal count
        count += 1
        if len(stack) > DEPTH_LIMIT or count > ELEMENT_LIMIT:
            raise XmlError("deeper or larger than any request")
        element = Element(named(name), {named(key): value for key, value in attributes.items()})
        stack[-1].children.append(element)
        stack.append(element)

    def end(_: str) -> None:
        stack.pop()

    def text(data: str) -> None:
        stack[-1].text += data

    def doctype(*_: object) -> None:
        raise XmlError("a document type is not allowed")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(document, True)
    except expat.ExpatError as error:
        raise XmlError(str(error)) from None
    except (LookupError, ValueError) as error:
        # An encoding that Python does not know, or bytes that are not in it.
        raise error if isinstance(error, XmlError) else XmlError(str(error)) from None
    return root.children[0]


def escape(text: str) -> str:
    """Text made safe for XML, also inside an attribute; control characters that XML cannot carry become `?`.

    >>> escape('a < "b"')
    'a &lt; &quot;b&quot;'
    """
    legal = "".join(
        c if c in "\t\n\r" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c > "\uffff" else "?" for c in text
    )
    return _escape(legal, {'"': "&quot;"})


def envelope(body: str, header: str = "") -> bytes:
    """A SOAP 1.2 message around `body`, which is XML text using the prefixes of `NAMESPACES`."""
    names = " ".join(
        f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items() if f"{prefix}:" in body + header + "env:"
    )
    head = f"<env:Header>{header}</env:Header>" if header else ""
    whole = f"<env:Envelope {names}>{head}<env:Body>{body}</env:Body></env:Envelope>"
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{whole}'.encode()


class Fault(Exception):  # noqa: N818 - the word of SOAP
    """A SOAP fault on its way to the client.

    Args:
        subcodes: from general to special, as `("ter:NotAuthorized",)`.
        reason: a sentence.
        sender: whether the client is to blame (`env:Sender`) or the device (`env:Receiver`).
        status: HTTP status.
    """

    def __init__(self, subcodes: tuple[str, ...], reason: str, *, sender: bool = True, status: int = 400) -> None:
        super().__init__(reason)
        self.subcodes, self.reason, self.sender, self.status = subcodes, reason, sender, status

    def encode(self) -> bytes:
        """The fault as a SOAP message."""
        blame, nested = "Sender" if self.sender else "Receiver", ""
        for code in reversed(self.subcodes):
            nested = f"<env:Subcode><env:Value>{code}</env:Value>{nested}</env:Subcode>"
        return envelope(
            f"<env:Fault><env:Code><env:Value>env:{blame}</env:Value>{nested}</env:Code>"
            f'<env:Reason><env:Text xml:lang="en">{escape(self.reason)}</env:Text></env:Reason></env:Fault>'
        )
