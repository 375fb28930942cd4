"""How a virtual camera spoils answers that were right: another order, missing elements, bytes that are no text."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Final

from edusense.sim.onvif_xml import NAMESPACES

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["SPOILING", "spoiled"]

SPOILING: Final = frozenset({"shuffled", "sparse", "broken-text", "not-xml", "xml-bomb", "external-entity"})
"""Lies that change the text of an answer."""

_LEFT_OUT: Final = {"Multicast", "SessionTimeout", "UseCount", "DaylightSavings", "HardwareId", "ForcePersistence"}
_BOMB: Final = (
    b'<?xml version="1.0"?><!DOCTYPE bomb [<!ENTITY a "ha">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(24))
    + b"]><bomb>&y;</bomb>"
)
_EXTERNAL: Final = (
    b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    b'<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope"><e:Body><a>&x;</a></e:Body></e:Envelope>'
)

for _prefix, _uri in NAMESPACES.items():
    ET.register_namespace(_prefix, _uri)


def spoiled(document: bytes, lies: Collection[str]) -> bytes:
    """A SOAP answer as a camera with these faults sends it.

    Args:
        document: the answer, as it should be.
        lies: names out of `edusense.sim.onvif_lies.LIES`.
    """
    if "not-xml" in lies:
        return b"\x00\xff<<<not xml at all"
    if "xml-bomb" in lies:
        return _BOMB
    if "external-entity" in lies:
        return _EXTERNAL
    if "shuffled" in lies or "sparse" in lies:
        root = ET.fromstring(document)  # noqa: S314 - our own text
        body = root.find(f"{{{NAMESPACES['env']}}}Body")
        assert body is not None
        if "Fault" not in "".join(one.tag for one in body):
            for one in body:
                _rework(one, lies)
            document = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    if "broken-text" in lies:
        document = document.replace(b"</tds:Model>", b"\xff\xfe\xe9</tds:Model>")
    return document


def _rework(element: ET.Element, lies: Collection[str]) -> None:
    if "sparse" in lies:
        for one in [one for one in element if one.tag.rpartition("}")[2] in _LEFT_OUT]:
            element.remove(one)
    for one in element:
        _rework(one, lies)
    if "shuffled" in lies and len(element) > 1:
        # Elements of one name keep their order among themselves: it says which profile is the first.
        order = {name: place for place, name in enumerate(dict.fromkeys(one.tag for one in element))}
        element[:] = sorted(element, key=lambda one: -order[one.tag])
