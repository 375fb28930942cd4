"""Reading what cameras really send: elements by their local names, in any order, missing ones missed.

Safe against what a stranger may send: no DOCTYPE (hence no entities, no external files), no network, libxml2's own
limits of depth, and a bounded length (see `http`). Broken XML is mended as far as libxml2 can, since some cameras send
invalid UTF-8 in their own names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lxml import etree

from edusense.errors import DeviceProtocolError
from edusense_drivers.onvif.http import excerpt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edusense_drivers.onvif.http import Answer

__all__ = ["SoapFault", "body_of", "child", "children", "number", "parse", "text"]


def parse(document: bytes, who: str) -> etree._Element:
    """Reads an XML document.

    Args:
        document: bytes as they came.
        who: the camera, for the message.

    Raises:
        DeviceProtocolError: it is no XML, or has a DOCTYPE.
    """
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        recover=True,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(document, parser)
    except (etree.XMLSyntaxError, ValueError):
        root = None
    if root is None:
        raise DeviceProtocolError(f"`{who}` answers something that is not XML: {excerpt(document)}")
    if root.getroottree().docinfo.doctype or any(True for _ in root.iter(etree.Entity)):
        raise DeviceProtocolError(f"`{who}` answers XML with a document type, which none needs: {excerpt(document)}")
    return root


def _local(element: etree._Element) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def children(element: etree._Element | None, name: str) -> Iterator[etree._Element]:
    """The children of that local name."""
    if element is not None:
        yield from (found for found in element if _local(found) == name)


def child(element: etree._Element | None, *names: str) -> etree._Element | None:
    """The first child of that local name, and so on downwards; None where there is none."""
    for name in names:
        element = next(children(element, name), None)
    return element


def text(element: etree._Element | None, *names: str) -> str | None:
    """The stripped text of what `child` finds; None where there is none, or nothing in it."""
    found = child(element, *names)
    if found is None:
        return None
    return (found.text or "").strip() or None


def number(element: etree._Element | None, *names: str) -> float | None:
    """What `text` finds, as a finite number not below zero; None where it is none."""
    said = text(element, *names)
    try:
        value = float(said) if said is not None and len(said) < 32 else -1.0
    except ValueError:
        return None
    return value if 0 <= value < 1e12 else None


@dataclass(frozen=True, slots=True)
class SoapFault:
    """A SOAP fault, 1.1 or 1.2: its subcodes without prefixes, from general to special, and its text."""

    codes: tuple[str, ...]
    reason: str

    @property
    def about_login(self) -> bool:
        """Whether user or password are the reason; cameras have no reliable code for it."""
        return "NotAuthorized" in self.codes or "FailedAuthentication" in self.codes or "auth" in self.reason.lower()

    def __str__(self) -> str:
        codes = "/".join(self.codes)
        return f"{self.reason} ({codes})" if codes else self.reason

    @classmethod
    def of(cls, element: etree._Element) -> SoapFault:
        """Reads a `Fault` element."""
        codes: list[str] = []
        here = child(element, "Code")
        while here is not None and len(codes) < 8:
            if value := text(here, "Value"):
                codes.append(value.rpartition(":")[2])
            here = child(here, "Subcode")
        if old := text(element, "faultcode"):
            codes.append(old.rpartition(":")[2])
        reason = text(element, "Reason", "Text") or text(element, "faultstring") or "no reason given"
        # "Sender" and "Receiver" say only whom the camera blames.
        return cls(tuple(code for code in codes if code not in ("Sender", "Receiver")), " ".join(reason.split())[:200])


def body_of(answer: Answer, operation: str, who: str) -> etree._Element | SoapFault:
    """The response element of an answer, or the fault that came instead.

    Args:
        answer: what came.
        operation: what was asked.
        who: the camera, for messages.

    Raises:
        DeviceProtocolError: it is no SOAP, or answers another question.
    """
    if answer.status != 200 and not answer.body.lstrip().startswith(b"<"):
        raise DeviceProtocolError(f"`{who}` answers {operation} with {answer.describe()}", hint=_hint(answer.status))
    try:
        root = parse(answer.body, who)
    except DeviceProtocolError as error:
        raise DeviceProtocolError(f"{error.message}, to {operation}", hint=_hint(answer.status)) from None
    if _local(root) != "Envelope":
        raise DeviceProtocolError(f"`{who}` answers {operation} with {answer.describe()}", hint=_hint(answer.status))
    body = child(root, "Body")
    first = next((found for found in body if _local(found)), None) if body is not None else None
    if first is None:
        raise DeviceProtocolError(f"`{who}` answers {operation} with an empty envelope: {answer.describe()}")
    if _local(first) == "Fault":
        return SoapFault.of(first)
    if _local(first) != f"{operation}Response":
        raise DeviceProtocolError(
            f"`{who}` answers {operation} with `{_local(first)[:60]}`", hint="report it to its vendor"
        )
    return first


def _hint(status: int) -> str:
    if status == 404:
        return "is ONVIF switched on in its web pages? some cameras have it on another port or path"
    return "is this a camera, and is ONVIF switched on in its web pages?"
