"""A camera's streams: by Media1, completed or replaced by Media2, which alone has words for H.265.

Sources: ONVIF media.wsdl, ver10 and ver20. Some cameras leave the encoder out of a profile of Media1 (Dahua's H.265,
node-onvif#78), some the video source (agsh/onvif 1053), and some have Media2 alone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from edusense.devices.camera import CameraProfile
from edusense.errors import DeviceError, DeviceProtocolError, DeviceRefusedError
from edusense_drivers.onvif import media2, soap, wsdl

if TYPE_CHECKING:
    from lxml import etree

    from edusense_drivers.onvif.session import Session

__all__ = ["has_media1", "read", "snapshot_uri", "source_of", "stream_uri"]


def has_media1(session: Session) -> bool:
    """Whether Media1 may be asked: a camera that tells of Media2 alone has none."""
    return session.has(wsdl.namespace_of("media")) or not session.has(media2.NAMESPACE)


def read(session: Session) -> list[CameraProfile]:
    """The camera's streams; those that can carry no picture are left out.

    Raises:
        DeviceProtocolError: it has none.
    """
    told: list[etree._Element] = []
    if has_media1(session):
        told = list(soap.children(session.call("media", "GetProfiles"), "Profiles"))
    read1 = [(one.get("token"), _profile1(one)) for one in told]
    found = [profile for _, profile in read1 if profile is not None]
    whole = len(found) == len(read1) and all(one.encoding is not None for one in found)
    if session.has(media2.NAMESPACE) and (not found or not whole):
        found = _with_media2(session, found, [token for token, _ in read1 if token])
    if not found:
        raise DeviceProtocolError(
            f"`{session.who}` has no video profile", hint="add a profile with video in its web pages"
        )
    return found


def _with_media2(session: Session, found: list[CameraProfile], order: list[str]) -> list[CameraProfile]:
    """What Media1 left out, taken from Media2; the list of Media2 where Media1 has none.

    Args:
        session: with whom.
        found: what Media1 told.
        order: tokens of all profiles of Media1, also those that it says too little of.
    """
    try:
        told = {one.token: one for one in map(_profile2, media2.profiles(session)) if one is not None}
    except DeviceError:
        if found:
            return found
        raise
    whole = dict(told)
    for one in found:
        known = one.encoding is not None or one.token not in told
        whole[one.token] = one if known else replace(told[one.token], name=one.name)
    places = {token: place for place, token in enumerate(order)}
    return sorted(whole.values(), key=lambda one: places.get(one.token, len(places)))


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def _profile1(element: etree._Element) -> CameraProfile | None:
    token = element.get("token")
    encoder = soap.child(element, "VideoEncoderConfiguration")
    if not token or (encoder is None and soap.child(element, "VideoSourceConfiguration") is None):
        return None  # audio, metadata, or nothing yet
    return CameraProfile(
        token=token,
        name=soap.text(element, "Name") or token,
        width=_whole(soap.number(encoder, "Resolution", "Width")),
        height=_whole(soap.number(encoder, "Resolution", "Height")),
        fps=soap.number(encoder, "RateControl", "FrameRateLimit"),
        kbit=_whole(soap.number(encoder, "RateControl", "BitrateLimit")),
        encoding=soap.text(encoder, "Encoding"),
        gop=_whole(soap.number(encoder, "H264", "GovLength")),
    )


def _profile2(element: etree._Element) -> CameraProfile | None:
    token = element.get("token")
    encoder = soap.child(element, "Configurations", "VideoEncoder")
    if not token or encoder is None:
        return None
    gop = encoder.get("GovLength", "")
    return CameraProfile(
        token=token,
        name=soap.text(element, "Name") or token,
        width=_whole(soap.number(encoder, "Resolution", "Width")),
        height=_whole(soap.number(encoder, "Resolution", "Height")),
        fps=soap.number(encoder, "RateControl", "FrameRateLimit"),
        kbit=_whole(soap.number(encoder, "RateControl", "BitrateLimit")),
        encoding=soap.text(encoder, "Encoding"),
        gop=int(gop) if gop.isdecimal() and len(gop) < 9 else None,
    )


def stream_uri(session: Session, token: str) -> str:
    """The address of a stream, as the camera gives it; empty where it gives none."""
    if has_media1(session):
        said = session.call(
            "media",
            "GetStreamUri",
            StreamSetup={"Stream": "RTP-Unicast", "Transport": {"Protocol": "RTSP"}},
            ProfileToken=token,
        )
        return soap.text(said, "MediaUri", "Uri") or ""
    return soap.text(media2.ask(session, "GetStreamUri", Protocol="RTSP", ProfileToken=token), "Uri") or ""


def snapshot_uri(session: Session, token: str) -> str | None:
    """The address of a still picture, as the camera gives it; None where it has none or leaves it out."""
    if has_media1(session):
        said = session.call_if_known("media", "GetSnapshotUri", ProfileToken=token)
        return soap.text(said, "MediaUri", "Uri")
    try:
        return soap.text(media2.ask(session, "GetSnapshotUri", ProfileToken=token), "Uri")
    except (DeviceRefusedError, DeviceProtocolError):
        return None


def source_of(session: Session, token: str) -> tuple[str | None, str | None]:
    """Tokens of a profile's video source, and of the configuration that names it; None where it tells none."""
    if has_media1(session):
        answer = session.call("media", "GetProfiles")
        found = [one for one in soap.children(answer, "Profiles") if one.get("token") == token]
        said = soap.child(found[0], "VideoSourceConfiguration") if found else None
    else:
        found = media2.profiles(session, token, "VideoSource")
        said = soap.child(found[0], "Configurations", "VideoSource") if found else None
    if said is not None:
        return soap.text(said, "SourceToken"), said.get("token")
    if not has_media1(session):
        return None, None
    sources = list(soap.children(session.call_if_known("media", "GetVideoSources"), "VideoSources"))
    return (sources[0].get("token") if sources else None), None
