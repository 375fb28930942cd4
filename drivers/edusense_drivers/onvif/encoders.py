"""Video encoders: by Media2 where the camera has it (H.265, constant bit rate), else by Media1.

Both write the camera's own object with our values in it: Uniview refuses a multicast address that is not its own, Axis
wants Name, UseCount and SessionTimeout (hammeraj/onvif PR 34). onvif-zeep builds Media1's requests; it does not know
Media2, whose requests are built here. Source: ONVIF media.wsdl (ver10, ver20), onvif.xsd.
"""

from __future__ import annotations

import copy
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from lxml import etree

from edusense.devices.camera import CameraSettings, Offer
from edusense.errors import DeviceProtocolError, DeviceRefusedError
from edusense_drivers.onvif import media2, soap, wsdl
from edusense_drivers.onvif.policies import EchoPolicy
from edusense_drivers.onvif.settings import Group, restart_needed

if TYPE_CHECKING:
    from edusense_drivers.onvif.session import Session

__all__ = ["encoder_of"]

_ORDER: Final = ("Name", "UseCount", "Encoding", "Resolution", "RateControl", "Multicast", "Quality")
"""The children of VideoEncoder2Configuration, in the schema's order."""
_SCOPED_MULTICAST: Final = "239.255.42.1"
"""Of the range that stays within a site (RFC 2365)."""
_KNOWN1: Final = {
    *("Name", "UseCount", "Encoding", "Resolution", "Quality", "RateControl", "MPEG4", "H264", "Multicast"),
    "SessionTimeout",
}


def encoder_of(session: Session, profile: str) -> Group:
    """The encoder of a profile."""
    return _Encoder2(session, profile) if session.has(media2.NAMESPACE) else _Encoder1(session, profile)


def _between(element: etree._Element | None, *, whole: bool = False, step: int = 1) -> Offer | None:
    low, high = soap.number(element, "Min"), soap.number(element, "Max")
    return None if low is None or high is None or high < low else Offer(low=low, high=high, whole=whole, step=step)


def _sizes(element: etree._Element | None) -> Offer | None:
    found = []
    for one in soap.children(element, "ResolutionsAvailable"):
        width, height = soap.number(one, "Width"), soap.number(one, "Height")
        if width and height:
            found.append((round(width), round(height)))
    return Offer(values=tuple(found)) if found else None


def _only(offers: dict[str, Offer | None]) -> dict[str, Offer]:
    return {name: offer for name, offer in offers.items() if offer is not None}


def _only_values(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def _size(element: etree._Element) -> list[int] | None:
    width = soap.number(element, "Resolution", "Width")
    height = soap.number(element, "Resolution", "Height")
    return [round(width), round(height)] if width and height else None


# --- Media1 ----------------------------------------------------------------------------------------------------------


class _Encoder1(Group):
    def __init__(self, session: Session, profile: str) -> None:
        super().__init__(session)
        self._profile = profile

    def _configuration(self) -> etree._Element:
        answer = self.session.call("media", "GetProfiles")
        for one in soap.children(answer, "Profiles"):
            if one.get("token") == self._profile:
                found = soap.child(one, "VideoEncoderConfiguration")
                if found is not None and found.get("token"):
                    return found
                raise DeviceRefusedError(
                    f"`{self.session.who}` tells nothing about the encoder of `{self._profile}`: Media1 has no word "
                    "for H.265, and it has no Media2",
                    hint="set H.264 in its web pages",
                )
        raise DeviceProtocolError(f"`{self.session.who}` has no profile `{self._profile}` any more")

    def read(self) -> CameraSettings:
        said = self._configuration()
        encoding = soap.text(said, "Encoding")
        values = {
            "encoding": encoding,
            "profile": soap.text(said, "H264", "H264Profile"),
            "size": _size(said),
            "fps": soap.number(said, "RateControl", "FrameRateLimit"),
            "gop": _whole(soap.number(said, "H264", "GovLength")),
            "kbit": _whole(soap.number(said, "RateControl", "BitrateLimit")),
            "quality": soap.number(said, "Quality"),
        }
        answer = self.session.call_if_known(
            "media",
            "GetVideoEncoderConfigurationOptions",
            ConfigurationToken=said.get("token"),
            ProfileToken=self._profile,
        )
        options = soap.child(answer, "Options")
        h264 = soap.child(options, "H264")
        more = soap.child(options, "Extension", "H264")
        profiles = tuple(one.text for one in soap.children(h264, "H264ProfilesSupported") if one.text)
        rounds = self.session.policies.rounding
        offers = _only(
            {
                "H264:profile": Offer(values=profiles) if profiles else None,
                "H264:size": _sizes(h264),
                "H264:fps": _between(soap.child(h264, "FrameRateRange"), whole=True) or Offer(whole=True),
                "H264:gop": _between(soap.child(h264, "GovLengthRange"), whole=True, step=rounds.gop),
                "H264:kbit": _between(soap.child(more, "BitrateRange"), whole=True, step=rounds.kbit),
                "H264:quality": _between(soap.child(options, "QualityRange")),
            }
        )
        if h264 is not None:
            offers["encoding"] = Offer(values=("H264",))  # Media1 has no word for H.265
        return CameraSettings(_only_values(values), offers)

    def write(self, values: dict[str, Any]) -> bool:
        said = self._configuration()
        asked = _echo(said, self.session.policies.echo)
        asked["Encoding"] = values.get("encoding", asked["Encoding"])
        if "size" in values:
            asked["Resolution"] = {"Width": values["size"][0], "Height": values["size"][1]}
        asked["Quality"] = values.get("quality", asked["Quality"])
        rate = asked["RateControl"]
        rate["FrameRateLimit"] = round(values.get("fps", rate["FrameRateLimit"]))
        rate["BitrateLimit"] = values.get("kbit", rate["BitrateLimit"])
        if asked["Encoding"] == "H264":
            codec = asked.setdefault("H264", {"GovLength": 2 * rate["FrameRateLimit"], "H264Profile": "Main"})
            codec["GovLength"] = values.get("gop", codec["GovLength"])
            codec["H264Profile"] = values.get("profile", codec["H264Profile"])
        request = wsdl.build(
            "media", "SetVideoEncoderConfiguration", {"Configuration": asked, "ForcePersistence": True}
        )
        body = soap.child(request.envelope, "Body", "SetVideoEncoderConfiguration", "Configuration")
        assert body is not None
        for own in said:  # what the schema has no word for goes back as it came
            if etree.QName(own).localname not in _KNOWN1:
                body.append(copy.deepcopy(own))
        for name, value in said.attrib.items():
            if name not in body.attrib:
                body.set(name, value)
        return restart_needed(self.session.ask(wsdl.namespace_of("media"), request))


def _echo(said: etree._Element, policy: EchoPolicy) -> dict[str, Any]:
    """A Media1 encoder configuration as onvif-zeep takes it; what the schema demands and the camera left out, filled
    in.
    """

    def text(*names: str, default: Any) -> Any:
        return soap.text(said, *names) or default

    asked: dict[str, Any] = {
        "token": said.get("token"),
        "Name": text("Name", default=said.get("token")),
        "UseCount": text("UseCount", default=1),
        "Encoding": text("Encoding", default="H264"),
        "Resolution": {
            "Width": text("Resolution", "Width", default=0),
            "Height": text("Resolution", "Height", default=0),
        },
        "Quality": text("Quality", default=5),
        "RateControl": {
            "FrameRateLimit": _whole(soap.number(said, "RateControl", "FrameRateLimit")) or 25,
            "EncodingInterval": text("RateControl", "EncodingInterval", default=1),
            "BitrateLimit": text("RateControl", "BitrateLimit", default=0),
        },
        "Multicast": {
            "Address": {
                "Type": text("Multicast", "Address", "Type", default="IPv4"),
                "IPv4Address": soap.text(said, "Multicast", "Address", "IPv4Address"),
                "IPv6Address": soap.text(said, "Multicast", "Address", "IPv6Address"),
            },
            "Port": text("Multicast", "Port", default=0),
            "TTL": text("Multicast", "TTL", default=1),
            "AutoStart": text("Multicast", "AutoStart", default="false"),
        },
        "SessionTimeout": _duration(soap.text(said, "SessionTimeout")),
    }
    address = asked["Multicast"]["Address"]
    zero = "0.0.0.0"  # noqa: S104 - no address is listened on
    if not address["IPv4Address"] and not address["IPv6Address"]:
        address["IPv4Address"] = zero
    if policy is EchoPolicy.OWN_MULTICAST and address["IPv4Address"] == zero:
        address["IPv4Address"] = _SCOPED_MULTICAST
    if (codec := soap.child(said, "H264")) is not None:
        asked["H264"] = {
            "GovLength": soap.text(codec, "GovLength") or 50,
            "H264Profile": soap.text(codec, "H264Profile") or "Main",
        }
    return asked


_DURATION: Final = re.compile(r"PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.\d*)?S)?")


def _duration(said: str | None) -> timedelta:
    match = _DURATION.fullmatch(said or "")
    if match is None:
        return timedelta(seconds=60)
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


# --- Media2 ----------------------------------------------------------------------------------------------------------


class _Encoder2(Group):
    def __init__(self, session: Session, profile: str) -> None:
        super().__init__(session)
        self._profile = profile

    def _configuration(self) -> etree._Element:
        for one in media2.profiles(self.session, self._profile):
            found = soap.child(one, "Configurations", "VideoEncoder")
            if found is not None and found.get("token"):
                return found
        raise DeviceProtocolError(f"`{self.session.who}` has no encoder in profile `{self._profile}`")

    def read(self) -> CameraSettings:
        said = self._configuration()
        rate = soap.child(said, "RateControl")
        constant = rate.get("ConstantBitRate") if rate is not None else None
        gop = said.get("GovLength", "")
        values = {
            "encoding": soap.text(said, "Encoding"),
            "profile": said.get("Profile"),
            "size": _size(said),
            "fps": soap.number(rate, "FrameRateLimit"),
            "gop": int(gop) if gop.isdecimal() and len(gop) < 9 else None,
            "kbit": _whole(soap.number(rate, "BitrateLimit")),
            "quality": soap.number(said, "Quality"),
            "rate_control": None if constant is None else "cbr" if constant in ("true", "1") else "vbr",
        }
        offers: dict[str, Offer] = {}
        try:
            answer = media2.ask(
                self.session, "GetVideoEncoderConfigurationOptions", ConfigurationToken=said.get("token") or ""
            )
        except (DeviceRefusedError, DeviceProtocolError):
            return CameraSettings(_only_values(values))
        codecs = []
        rounds = self.session.policies.rounding
        for one in soap.children(answer, "Options"):
            codec = soap.text(one, "Encoding") or ""
            codecs.append(codec)
            gops, rates = _numbers(one.get("GovLengthRange")), _numbers(one.get("FrameRatesSupported"))
            profiles = tuple((one.get("ProfilesSupported") or "").split())
            changeable = one.get("ConstantBitRateSupported") in ("true", "1")
            told = {
                "profile": Offer(values=profiles) if profiles else None,
                "size": _sizes(one),
                "fps": Offer(values=tuple(rates)) if rates else None,
                "gop": Offer(low=min(gops), high=max(gops), whole=True, step=rounds.gop) if gops else None,
                "kbit": _between(soap.child(one, "BitrateRange"), whole=True, step=rounds.kbit),
                "quality": _between(soap.child(one, "QualityRange")),
                "rate_control": Offer(values=("vbr", "cbr") if changeable else ("vbr",)),
            }
            offers |= {f"{codec}:{name}": offer for name, offer in _only(told).items()}
        if codecs:
            offers["encoding"] = Offer(values=tuple(codecs))
        return CameraSettings(_only_values(values), offers)

    def write(self, values: dict[str, Any]) -> bool:
        asked = copy.deepcopy(self._configuration())
        asked.tag = f"{{{media2.NAMESPACE}}}Configuration"
        if "encoding" in values:
            _put(asked, values["encoding"], "Encoding")
        if "size" in values:
            _put(asked, values["size"][0], "Resolution", "Width")
            _put(asked, values["size"][1], "Resolution", "Height")
        if "fps" in values:
            _put(asked, f"{values['fps']:g}", "RateControl", "FrameRateLimit")
        if "kbit" in values:
            _put(asked, values["kbit"], "RateControl", "BitrateLimit")
        if "rate_control" in values:
            constant = "true" if values["rate_control"] == "cbr" else "false"
            _made(asked, "RateControl").set("ConstantBitRate", constant)
        if "quality" in values:
            _put(asked, f"{values['quality']:g}", "Quality")
        if "gop" in values:
            asked.set("GovLength", str(values["gop"]))
        if "profile" in values:
            asked.set("Profile", values["profile"])
        place = {name: index for index, name in enumerate(_ORDER)}
        asked[:] = sorted(asked, key=lambda one: place.get(etree.QName(one).localname, len(place)))
        return restart_needed(media2.ask(self.session, "SetVideoEncoderConfiguration", asked))


def _made(parent: etree._Element, name: str) -> etree._Element:
    found = soap.child(parent, name)
    return etree.SubElement(parent, f"{{{media2.SCHEMA}}}{name}") if found is None else found


def _put(parent: etree._Element, value: object, *names: str) -> None:
    for name in names:
        parent = _made(parent, name)
    parent.text = str(value)


def _numbers(said: str | None) -> list[float]:
    found = []
    for part in (said or "").split()[:512]:
        try:
            found.append(float(part))
        except ValueError:
            return []
    return found if all(0 <= one < 1e9 for one in found) else []
