"""Requests of Media2, which onvif-zeep does not know. Source: ONVIF media.wsdl ver20."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lxml import etree

from edusense_drivers.onvif import soap, wsdl

if TYPE_CHECKING:
    from edusense_drivers.onvif.session import Session

__all__ = ["NAMESPACE", "SCHEMA", "ask", "profiles"]

NAMESPACE: Final = "http://www.onvif.org/ver20/media/wsdl"
SCHEMA: Final = "http://www.onvif.org/ver10/schema"
_ENVELOPE: Final = "http://www.w3.org/2003/05/soap-envelope"


def ask(session: Session, operation: str, *content: etree._Element, **texts: str) -> etree._Element:
    """Asks a question of Media2.

    Args:
        session: with whom.
        operation: the ONVIF name.
        content: elements that the request holds after its texts.
        texts: elements with nothing but a text, in the schema's order.
    """
    envelope = etree.Element(f"{{{_ENVELOPE}}}Envelope", nsmap={"s": _ENVELOPE, "tr2": NAMESPACE, "tt": SCHEMA})
    asked = etree.SubElement(etree.SubElement(envelope, f"{{{_ENVELOPE}}}Body"), f"{{{NAMESPACE}}}{operation}")
    for name, text in texts.items():
        etree.SubElement(asked, f"{{{NAMESPACE}}}{name}").text = text
    asked.extend(content)
    return session.ask(NAMESPACE, wsdl.Request(envelope, operation, f"{NAMESPACE}/{operation}"))


def profiles(session: Session, token: str | None = None, kind: str = "VideoEncoder") -> list[etree._Element]:
    """The profiles that Media2 tells, with their configurations of one kind.

    Args:
        session: with whom.
        token: only this one.
        kind: `VideoEncoder`, `VideoSource` …
    """
    texts = {"Type": kind} if token is None else {"Token": token, "Type": kind}
    found = list(soap.children(ask(session, "GetProfiles", **texts), "Profiles"))
    return found if token is None else [one for one in found if one.get("token") == token]
