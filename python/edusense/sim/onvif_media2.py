"""A virtual camera's Media2: what its encoders do, H.265 and constant bit rate included.

Source: ONVIF media.wsdl ver20, types VideoEncoder2Configuration and VideoEncoder2ConfigurationOptions of onvif.xsd.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from edusense.sim.onvif_services import (
    encoder_profile,
    operation,
    picture_of,
    profile_of,
    source_configuration,
    stream_of,
)
from edusense.sim.onvif_sets import number
from edusense.sim.onvif_state import H264_PROFILES, QUALITY_RANGE, ranges, sizes
from edusense.sim.onvif_xml import Fault, escape

if TYPE_CHECKING:
    from edusense.sim.onvif_http import Request
    from edusense.sim.onvif_server import OnvifServer, Profile
    from edusense.sim.onvif_xml import Element

__all__: list[str] = []


def _encoder(server: OnvifServer, profile: Profile, element: str) -> str:
    now = server.state.encoder(profile)
    constant = "true" if now.constant else "false"
    return (
        f'<{element} token="encoder-{escape(profile.token)}" GovLength="{now.gop}" Profile="{now.profile}">'
        f"<tt:Name>{escape(profile.name)}</tt:Name><tt:UseCount>1</tt:UseCount><tt:Encoding>{now.encoding}</tt:Encoding>"
        f"<tt:Resolution><tt:Width>{now.width}</tt:Width><tt:Height>{now.height}</tt:Height></tt:Resolution>"
        f'<tt:RateControl ConstantBitRate="{constant}"><tt:FrameRateLimit>{now.fps:g}</tt:FrameRateLimit>'
        f"<tt:BitrateLimit>{now.kbit}</tt:BitrateLimit></tt:RateControl><tt:Quality>{now.quality:g}</tt:Quality></{element}>"
    )


@operation("tr2:GetServiceCapabilities", anonymous=True)
def _get_capabilities(_: OnvifServer, __: Request, ___: Element) -> str:
    return '<tr2:Capabilities SnapshotUri="true" OSD="true"/>'


@operation("tr2:GetProfiles")
def _get_profiles(server: OnvifServer, _: Request, asked: Element) -> str:
    token, kinds = asked.value("Token"), {one.text.strip() for one in asked.children if one.name == "Type"}

    def told(one: Profile) -> str:
        found = ""
        if kinds & {"VideoSource", "All"} and "no-video-source" not in server.faults:
            found += source_configuration(server, "tr2:VideoSource")
        return found + (_encoder(server, one, "tr2:VideoEncoder") if kinds & {"VideoEncoder", "All"} else "")

    return "".join(
        f'<tr2:Profiles token="{escape(one.token)}" fixed="true"><tr2:Name>{escape(one.name)}</tr2:Name>'
        f"<tr2:Configurations>{told(one)}</tr2:Configurations></tr2:Profiles>"
        for one in ([profile_of(server, token)] if token else server.profiles)
    )


@operation("tr2:GetStreamUri")
def _get_stream(server: OnvifServer, _: Request, asked: Element) -> str:
    return f"<tr2:Uri>{escape(stream_of(server, asked.value('ProfileToken')))}</tr2:Uri>"


@operation("tr2:GetSnapshotUri")
def _get_still(server: OnvifServer, request: Request, asked: Element) -> str:
    found = picture_of(server, request, asked.value("ProfileToken"))
    return f"<tr2:Uri>{escape(found)}</tr2:Uri>" if found else ""


@operation("tr2:GetVideoEncoderConfigurations")
def _get_encoders(server: OnvifServer, _: Request, asked: Element) -> str:
    token = asked.value("ConfigurationToken")
    told = [encoder_profile(server, token)] if token else server.profiles
    return "".join(_encoder(server, one, "tr2:Configurations") for one in told)


@operation("tr2:GetVideoEncoderConfigurationOptions")
def _get_options(server: OnvifServer, _: Request, asked: Element) -> str:
    token = asked.value("ConfigurationToken")
    profile = encoder_profile(server, token) if token else server.profiles[0]
    offered = "".join(
        f"<tt:ResolutionsAvailable><tt:Width>{w}</tt:Width><tt:Height>{h}</tt:Height></tt:ResolutionsAvailable>"
        for w, h in sizes(profile)
    )
    own = ranges(profile)
    rates = " ".join(str(rate) for rate in range(round(own.fps[1]), round(own.fps[0]) - 1, -1))
    rates = f"{own.fps[0]:g}" if profile.fixed else rates
    either = "false" if profile.fixed else "true"
    return "".join(
        f'<tr2:Options GovLengthRange="{own.gop[0]} {own.gop[1]}" FrameRatesSupported="{rates}" '
        f'ProfilesSupported="{" ".join(H264_PROFILES) if codec == "H264" else "Main"}" '
        f'ConstantBitRateSupported="{either}">'
        f"<tt:Encoding>{codec}</tt:Encoding><tt:QualityRange><tt:Min>{QUALITY_RANGE[0]}</tt:Min><tt:Max>{QUALITY_RANGE[1]}</tt:Max>"
        f"</tt:QualityRange>{offered}<tt:BitrateRange><tt:Min>{own.kbit[0]}</tt:Min><tt:Max>{own.kbit[1]}</tt:Max>"
        "</tt:BitrateRange></tr2:Options>"
        for codec in server.codecs
    )


@operation("tr2:SetVideoEncoderConfiguration")
def _set_encoder(server: OnvifServer, _: Request, asked: Element) -> str:
    said = asked.find("Configuration")
    profile = encoder_profile(server, said.attributes.get("token", "") if said else "")
    assert said is not None
    rate = said.find("RateControl")
    if rate is None or not said.value("Name"):
        raise Fault(("ter:InvalidArgVal",), "Name or RateControl is missing")
    now = server.state.encoder(profile)
    wanted = replace(
        now,
        encoding=said.value("Encoding"),
        width=int(number(said, "Resolution", "Width")),
        height=int(number(said, "Resolution", "Height")),
        quality=number(said, "Quality"),
        fps=number(said, "RateControl", "FrameRateLimit"),
        kbit=int(number(said, "RateControl", "BitrateLimit")),
        gop=int(said.attributes.get("GovLength") or now.gop),
        profile=said.attributes.get("Profile") or now.profile,
        constant=rate.attributes.get("ConstantBitRate", "false") in ("true", "1"),
    )
    server.change(asked.name, lambda: server.state.set_encoder(profile, wanted, server.faults))
    return ""
