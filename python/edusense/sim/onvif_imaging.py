"""What a virtual camera's picture looks like, and the text in it: imaging service, and OSDs of Media1.

Sources: ONVIF Imaging Service Specification, imaging.wsdl (ver20); Media Service Specification 5.15 (OSD).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edusense.sim.onvif_services import SOURCE, operation
from edusense.sim.onvif_sets import restart
from edusense.sim.onvif_state import Osd
from edusense.sim.onvif_xml import Fault, escape

if TYPE_CHECKING:
    from collections.abc import Callable

    from edusense.sim.onvif_http import Request
    from edusense.sim.onvif_server import OnvifServer
    from edusense.sim.onvif_xml import Element

    Answer = Callable[[OnvifServer, Request, Element], str]

__all__: list[str] = []

PLAIN: Final = ("Brightness", "ColorSaturation", "Contrast", "Sharpness")
"""Numbers from 0 to 100."""
POSITIONS: Final = ("UpperLeft", "UpperRight", "LowerLeft", "LowerRight", "Custom")
MAX_OSDS: Final = 4
MAX_TEXT: Final = 64


def _of_source(token: str) -> None:
    if token != SOURCE:
        raise Fault(("ter:InvalidArgVal", "ter:NoSource"), f"there is no video source `{token[:40]}`")


@operation("timg:GetServiceCapabilities", anonymous=True)
def _get_capabilities(_: OnvifServer, __: Request, ___: Element) -> str:
    return "<timg:Capabilities/>"


@operation("timg:GetImagingSettings")
def _get_settings(server: OnvifServer, _: Request, asked: Element) -> str:
    _of_source(asked.value("VideoSourceToken"))
    now = server.state.imaging
    noise = now["NoiseReduction"]
    return (
        "<timg:ImagingSettings>"
        f"<tt:BacklightCompensation><tt:Mode>{now['BacklightCompensation']}</tt:Mode></tt:BacklightCompensation>"
        f"<tt:Brightness>{now['Brightness']:g}</tt:Brightness><tt:ColorSaturation>{now['ColorSaturation']:g}</tt:ColorSaturation>"
        f"<tt:Contrast>{now['Contrast']:g}</tt:Contrast><tt:IrCutFilter>{now['IrCutFilter']}</tt:IrCutFilter>"
        f"<tt:Sharpness>{now['Sharpness']:g}</tt:Sharpness>"
        f"<tt:WideDynamicRange><tt:Mode>{now['WideDynamicRange']}</tt:Mode></tt:WideDynamicRange>"
        f"<tt:Extension><tt:Extension><tt:Extension><tt:NoiseReduction><tt:Level>{noise:g}</tt:Level></tt:NoiseReduction>"
        "</tt:Extension></tt:Extension></tt:Extension></timg:ImagingSettings>"
    )


@operation("timg:GetOptions")
def _get_options(_: OnvifServer, __: Request, asked: Element) -> str:
    _of_source(asked.value("VideoSourceToken"))

    def between(name: str) -> str:
        return f"<tt:{name}><tt:Min>0</tt:Min><tt:Max>100</tt:Max></tt:{name}>"

    def modes(*names: str) -> str:
        return "".join(f"<tt:Mode>{name}</tt:Mode>" for name in names)

    return (
        f"<timg:ImagingOptions><tt:BacklightCompensation>{modes('OFF', 'ON')}</tt:BacklightCompensation>"
        f"{between('Brightness')}{between('ColorSaturation')}{between('Contrast')}"
        "<tt:IrCutFilterModes>ON</tt:IrCutFilterModes><tt:IrCutFilterModes>OFF</tt:IrCutFilterModes>"
        "<tt:IrCutFilterModes>AUTO</tt:IrCutFilterModes>"
        f"{between('Sharpness')}<tt:WideDynamicRange>{modes('OFF', 'ON')}</tt:WideDynamicRange>"
        "<tt:Extension><tt:Extension><tt:Extension><tt:NoiseReductionOptions><tt:Level>true</tt:Level>"
        "</tt:NoiseReductionOptions></tt:Extension></tt:Extension></tt:Extension></timg:ImagingOptions>"
    )


@operation("timg:SetImagingSettings")
def _set_settings(server: OnvifServer, _: Request, asked: Element) -> str:
    _of_source(asked.value("VideoSourceToken"))
    said = asked.find("ImagingSettings")
    if said is None:
        raise Fault(("ter:InvalidArgVal", "ter:SettingsInvalid"), "no settings")
    wanted: dict[str, str | float] = {}
    for name in PLAIN:
        if said.find(name) is not None:
            wanted[name] = _share(said.value(name), 100.0)
    for name in ("WideDynamicRange", "BacklightCompensation"):
        if mode := said.value(name, "Mode"):
            wanted[name] = _one_of(mode, ("OFF", "ON"))
    if mode := said.value("IrCutFilter"):
        wanted["IrCutFilter"] = _one_of(mode, ("ON", "OFF", "AUTO"))
    if level := said.value("Extension", "Extension", "Extension", "NoiseReduction", "Level"):
        wanted["NoiseReduction"] = _share(level, 1.0)

    def work() -> None:
        server.state.imaging = {**server.state.imaging, **wanted}

    return restart(server.change(asked.name, work))


def _share(said: str, most: float) -> float:
    try:
        value = float(said)
    except ValueError:
        value = -1.0
    if not 0 <= value <= most:
        raise Fault(("ter:InvalidArgVal", "ter:SettingsInvalid"), f"`{said[:20]}` is not 0 to {most:g}")
    return value


def _one_of(said: str, known: tuple[str, ...]) -> str:
    if said not in known:
        raise Fault(("ter:InvalidArgVal", "ter:SettingsInvalid"), f"`{said[:20]}` is none of {', '.join(known)}")
    return said


# --- text in the picture ----------------------------------------------------------------------------------------------


def _osd(token: str, one: Osd, element: str) -> str:
    words = f"<tt:PlainText>{escape(one.text)}</tt:PlainText>" if one.kind == "Plain" else ""
    form = "<tt:DateFormat>yyyy-MM-dd</tt:DateFormat><tt:TimeFormat>HH:mm:ss</tt:TimeFormat>"
    return (
        f'<{element} token="{escape(token)}"><tt:VideoSourceConfigurationToken>{SOURCE}-configuration'
        "</tt:VideoSourceConfigurationToken><tt:Type>Text</tt:Type>"
        f"<tt:Position><tt:Type>{one.position}</tt:Type></tt:Position><tt:TextString><tt:Type>{one.kind}</tt:Type>"
        f"{form if one.kind == 'DateAndTime' else ''}{words}</tt:TextString></{element}>"
    )


def _asked_osd(asked: Element) -> tuple[str, Osd]:
    said = asked.find("OSD")
    if said is None or said.value("VideoSourceConfigurationToken") != f"{SOURCE}-configuration":
        raise Fault(("ter:InvalidArgVal", "ter:NoConfig"), "no such video source configuration")
    kind, text = said.value("TextString", "Type"), said.value("TextString", "PlainText")
    position = said.value("Position", "Type") or "UpperLeft"
    if said.value("Type") != "Text" or kind not in ("Plain", "Date", "Time", "DateAndTime") or len(text) > MAX_TEXT:
        raise Fault(("ter:InvalidArgVal",), "only text, of at most 64 characters")
    return said.attributes.get("token", ""), Osd(kind, text, _one_of(position, POSITIONS))


def _both(name: str) -> Callable[[Answer], Answer]:
    """Registers an operation with Media1 and with Media2, which have the same words for texts."""

    def register(content: Answer) -> Answer:
        for prefix in ("trt", "tr2"):
            operation(f"{prefix}:{name}")(_in(prefix, content))
        return content

    return register


def _in(prefix: str, content: Answer) -> Answer:
    def answer(server: OnvifServer, request: Request, asked: Element) -> str:
        return content(server, request, asked).replace("<trt:", f"<{prefix}:").replace("</trt:", f"</{prefix}:")

    return answer


@_both("GetOSDs")
def _get_osds(server: OnvifServer, _: Request, __: Element) -> str:
    return "".join(_osd(token, one, "trt:OSDs") for token, one in server.state.osds.items())


@_both("GetOSDOptions")
def _get_osd_options(_: OnvifServer, __: Request, ___: Element) -> str:
    places = "".join(f"<tt:PositionOption>{one}</tt:PositionOption>" for one in POSITIONS[:4])
    return (
        f'<trt:OSDOptions><tt:MaximumNumberOfOSDs Total="{MAX_OSDS}" PlainText="2" DateAndTime="1"/>'
        f"<tt:Type>Text</tt:Type>{places}<tt:TextOption><tt:Type>Plain</tt:Type><tt:Type>DateAndTime</tt:Type>"
        "<tt:DateFormat>yyyy-MM-dd</tt:DateFormat><tt:TimeFormat>HH:mm:ss</tt:TimeFormat></tt:TextOption></trt:OSDOptions>"
    )


@_both("CreateOSD")
def _create_osd(server: OnvifServer, _: Request, asked: Element) -> str:
    _token, wanted = _asked_osd(asked)
    if len(server.state.osds) >= MAX_OSDS:
        raise Fault(("ter:Action", "ter:MaxOSDs"), f"more than {MAX_OSDS} texts")
    server.state.texts_made += 1
    token = f"osd-{server.state.texts_made}"

    def work() -> None:
        server.state.osds = {**server.state.osds, token: wanted}

    return f"<trt:OSDToken>{token}</trt:OSDToken>{restart(server.change(asked.name, work))}"


@_both("SetOSD")
def _set_osd(server: OnvifServer, _: Request, asked: Element) -> str:
    token, wanted = _asked_osd(asked)
    if token not in server.state.osds:
        raise Fault(("ter:InvalidArgVal", "ter:NoConfig"), f"there is no text `{token[:40]}`")

    def work() -> None:
        server.state.osds = {**server.state.osds, token: wanted}

    return restart(server.change(asked.name, work))


@_both("DeleteOSD")
def _delete_osd(server: OnvifServer, _: Request, asked: Element) -> str:
    token = asked.value("OSDToken")
    if token not in server.state.osds:
        raise Fault(("ter:InvalidArgVal", "ter:NoConfig"), f"there is no text `{token[:40]}`")

    def work() -> None:
        server.state.osds = {name: one for name, one in server.state.osds.items() if name != token}

    return restart(server.change(asked.name, work))
