"""What a camera's picture looks like, and the text in it.

Sources: ONVIF Imaging Service Specification and imaging.wsdl (ver20): what is sent is the camera's own object with our
values in it; onvif-zeep builds it. Texts (OSD): Media Service Specification 5.15, Media2 Service Specification 5.11.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final

from lxml import etree

from edusense.devices.camera import CameraSettings, Offer
from edusense.errors import DeviceRefusedError
from edusense_drivers.onvif import media2, profiles, soap, wsdl
from edusense_drivers.onvif.settings import Group, restart_needed

if TYPE_CHECKING:
    from edusense_drivers.onvif.session import Session

__all__ = ["Imaging", "Texts"]

_TT: Final = media2.SCHEMA
_NOISE: Final = ("Extension", "Extension", "Extension", "NoiseReduction", "Level")
NOISE_LEVEL: Final = 0.5
"""What noise reduction is switched on with, of 0 to 1: the middle, since more of it smears what moves at night."""


class Imaging(Group):
    """`noise_reduction`, `wide_dynamic_range` (bool), `ir_cut` (`auto`, `on`, `off`) of a profile's video source."""

    def __init__(self, session: Session, profile: str) -> None:
        super().__init__(session)
        self._profile = profile

    def _source(self) -> str:
        source, _ = profiles.source_of(self.session, self._profile)
        if source is None:
            raise DeviceRefusedError(f"`{self.session.who}` tells no video source of `{self._profile}`")
        return source

    def _said(self, source: str) -> etree._Element:
        found = soap.child(
            self.session.call("imaging", "GetImagingSettings", VideoSourceToken=source), "ImagingSettings"
        )
        if found is None:
            raise DeviceRefusedError(f"`{self.session.who}` tells nothing about its picture")
        return found

    def read(self) -> CameraSettings:
        """How it is."""
        source = self._source()
        said = self._said(source)
        values: dict[str, Any] = {}
        if mode := soap.text(said, "WideDynamicRange", "Mode"):
            values["wide_dynamic_range"] = mode.upper() == "ON"
        if mode := soap.text(said, "IrCutFilter"):
            values["ir_cut"] = mode.lower()
        if (level := soap.number(said, *_NOISE)) is not None:
            values["noise_reduction"] = level > 0
        offers: dict[str, Offer] = {}
        options = self.session.call_if_known("imaging", "GetOptions", VideoSourceToken=source)
        told = soap.child(options, "ImagingOptions")
        modes = tuple((one.text or "").strip().lower() for one in soap.children(told, "IrCutFilterModes"))
        if modes:
            offers["ir_cut"] = Offer(values=modes)
        wide = soap.child(told, "WideDynamicRange")
        if wide is not None:
            known = {(one.text or "").strip().upper() for one in soap.children(wide, "Mode")}
            offers["wide_dynamic_range"] = Offer(values=(True, False) if "ON" in known else (False,))
        return CameraSettings(values, offers)

    def write(self, values: dict[str, Any]) -> bool:
        """Sets some of it, the rest echoed."""
        source = self._source()
        said = copy.deepcopy(self._said(source))
        if "wide_dynamic_range" in values:
            _put(said, "ON" if values["wide_dynamic_range"] else "OFF", "WideDynamicRange", "Mode")
        if "ir_cut" in values:
            _put(said, values["ir_cut"].upper(), "IrCutFilter")
        if "noise_reduction" in values:
            level = soap.number(said, *_NOISE) or NOISE_LEVEL
            _put(said, f"{level if values['noise_reduction'] else 0:g}", *_NOISE)
        request = wsdl.build("imaging", "SetImagingSettings", {"VideoSourceToken": source, "ImagingSettings": {}})
        asked = soap.child(request.envelope, "Body", "SetImagingSettings")
        assert asked is not None
        place = soap.child(asked, "ImagingSettings")
        assert place is not None
        order = {name: index for index, name in enumerate(_ORDER)}
        place[:] = sorted(said, key=lambda one: order.get(etree.QName(one).localname, len(order)))
        persist = etree.SubElement(asked, f"{{{etree.QName(asked).namespace}}}ForcePersistence")
        persist.text = "true"
        return restart_needed(self.session.ask(wsdl.namespace_of("imaging"), request))


_ORDER: Final = (
    *("BacklightCompensation", "Brightness", "ColorSaturation", "Contrast", "Exposure", "Focus", "IrCutFilter"),
    *("Sharpness", "WideDynamicRange", "WhiteBalance", "Extension"),
)
"""The children of ImagingSettings20, in the schema's order."""


def _put(parent: etree._Element, value: str, *names: str) -> None:
    for name in names:
        found = soap.child(parent, name)
        parent = etree.SubElement(parent, f"{{{_TT}}}{name}") if found is None else found
    parent.text = value


class Texts(Group):
    """`text` (one line in the picture) and `clock` (bool: date and time are in it)."""

    def __init__(self, session: Session, profile: str) -> None:
        super().__init__(session)
        self._profile = profile
        self._old = profiles.has_media1(session)

    def _ask(self, operation: str, *content: etree._Element, **texts: str) -> etree._Element:
        if not self._old:
            return media2.ask(self.session, operation, *content, **texts)
        request = wsdl.build("media", operation, texts) if not content else None
        if request is None:
            request = _osd_request(operation, content[0])
        return self.session.ask(wsdl.namespace_of("media"), request)

    def _said(self) -> list[etree._Element]:
        return [one for one in soap.children(self._ask("GetOSDs"), "OSDs") if soap.text(one, "Type") == "Text"]

    @staticmethod
    def _kind(one: etree._Element) -> str:
        return soap.text(one, "TextString", "Type") or ""

    def read(self) -> CameraSettings:
        """What stands in the picture."""
        plain = [one for one in self._said() if self._kind(one) == "Plain"]
        clock = [one for one in self._said() if self._kind(one) in ("Date", "Time", "DateAndTime")]
        text = soap.text(plain[0], "TextString", "PlainText") if plain else ""
        return CameraSettings({"text": text or "", "clock": bool(clock)})

    def write(self, values: dict[str, Any]) -> bool:
        """Sets them: what is there already is changed, what is not is made."""
        said = self._said()
        plain = next((one for one in said if self._kind(one) == "Plain"), None)
        clocks = [one for one in said if self._kind(one) in ("Date", "Time", "DateAndTime")]
        needed = False
        if "text" in values:
            if not values["text"]:
                if plain is not None:
                    needed = restart_needed(self._ask("DeleteOSD", OSDToken=plain.get("token") or ""))
            else:
                needed = self._text(plain, "Plain", "LowerLeft", values["text"])
        if values.get("clock") and not clocks:
            needed = self._text(None, "DateAndTime", "UpperLeft", None) or needed
        elif values.get("clock") is False:
            for one in clocks:
                self._ask("DeleteOSD", OSDToken=one.get("token") or "")
        return needed

    def _text(self, there: etree._Element | None, kind: str, position: str, words: str | None) -> bool:
        space = wsdl.namespace_of("media") if self._old else media2.NAMESPACE
        if there is not None:
            asked = copy.deepcopy(there)
            asked.tag = f"{{{space}}}OSD"
            _put(asked, words or "", "TextString", "PlainText")
            return restart_needed(self._ask("SetOSD", asked))
        _, configuration = profiles.source_of(self.session, self._profile)
        if configuration is None:
            raise DeviceRefusedError(f"`{self.session.who}` tells no video source of `{self._profile}`")
        asked = etree.Element(f"{{{space}}}OSD", token="")
        _put(asked, configuration, "VideoSourceConfigurationToken")
        _put(asked, "Text", "Type")
        _put(asked, position, "Position", "Type")
        _put(asked, kind, "TextString", "Type")
        if words is None:
            _put(asked, "yyyy-MM-dd", "TextString", "DateFormat")
            _put(asked, "HH:mm:ss", "TextString", "TimeFormat")
        else:
            _put(asked, words, "TextString", "PlainText")
        return restart_needed(self._ask("CreateOSD", asked))


def _osd_request(operation: str, osd: etree._Element) -> wsdl.Request:
    """A request of Media1 that holds a text, built by onvif-zeep around a place that the camera's own object takes."""
    kind = soap.text(osd, "TextString", "Type") or "Plain"
    shell = {
        "token": osd.get("token") or "",
        "VideoSourceConfigurationToken": soap.text(osd, "VideoSourceConfigurationToken") or "",
        "Type": "Text",
        "Position": {"Type": "UpperLeft"},
        "TextString": {"Type": kind},
    }
    request = wsdl.build("media", operation, {"OSD": shell})
    asked = soap.child(request.envelope, "Body", operation)
    assert asked is not None
    place = soap.child(asked, "OSD")
    assert place is not None
    place[:] = list(copy.deepcopy(osd))
    return request
