"""A camera's data sheet: what its stream is like, how it behaves when it is called, and what that means for the box."""

from __future__ import annotations

import statistics
import threading
from typing import Any, Final

from edusense.bench.camera_calls import Onvif, Sessions, ask_onvif, first_pictures, light, sessions
from edusense.bench.camera_watch import Watched, watch
from edusense.bench.case import Curve, Fact, Measured, State
from edusense.bench.figure import Figure, quantile
from edusense.errors import BenchNotMeasuredError, StreamError, VideoSourceError
from edusense.video import CameraSource, Engine, Inspection, inspect

__all__ = ["measure"]

_SHOWN_S: Final = 8.0
"""How much of the stream is drawn picture by picture."""
_LONG_GOP_S: Final = 4.0


def measure(
    url: str = "",
    user: str | None = None,
    password: str | None = None,
    *,
    seconds: float = 60.0,
    calls: int = 4,
    most_sessions: int = 6,
    asks: int = 8,
    onvif: str = "",
) -> Measured:
    """Watches a camera, calls it again and again, asks it by ONVIF, and says whether it suits this software.

    Args:
        url: RTSP URL of the stream that would be watched.
        user: on the camera.
        password: of that user.
        seconds: how long it is watched. A minute tells the rate and the gate's noise; ten minutes tell the clock's
            drift.
        calls: how often it is called anew.
        most_sessions: how many sessions at once are tried.
        asks: how often each ONVIF question is asked.
        onvif: where its ONVIF service is: `HOST:PORT` or a URL; empty: the stream's host.

    Raises:
        BenchNotMeasuredError: it cannot be reached, or refuses.
    """
    if not url:
        raise BenchNotMeasuredError("no camera was named", hint="edusense bench camera rtsp://…")
    lost: dict[str, Any] = {}
    over = threading.Event()
    beside = threading.Thread(target=_as_the_box, args=(url, user, password, over, lost))
    beside.start()
    try:
        watched = watch(url, user, password, seconds)
        described = inspect(url, seconds=min(20.0, seconds), user=user, password=password)
    except (StreamError, VideoSourceError) as error:
        raise BenchNotMeasuredError(str(error), hint=error.hint) from error
    finally:
        over.set()
        beside.join()
    first, picture = first_pictures(url, user, password, calls)
    allowed = sessions(url, user, password, most_sessions)
    asked = ask_onvif(url, onvif, user, password, asks)
    if len(watched.pictures) < 3:
        raise BenchNotMeasuredError(f"the camera sent {len(watched.pictures)} pictures in {seconds:.0f} s")
    facts = [
        *_stream_facts(watched, described),
        *_light_facts(watched, picture),
        *_call_facts(first, allowed, lost, watched),
        *_onvif_facts(asked),
    ]
    return Measured(_figures(watched, described, first, asked), _curves(watched), [_verdict(facts), *facts])


def _as_the_box(url: str, user: str | None, password: str | None, over: threading.Event, found: dict[str, Any]) -> None:
    """A session of the box's own beside the one that is measured: it counts lost packets, and looks at nothing."""
    with Engine([CameraSource("camera", url, user, password)], pool_threads=0) as engine:
        while not over.wait(0.5):
            found.update(engine.stats()[0])


def _figures(watched: Watched, described: Inspection, first: list[float], asked: Onvif) -> list[Figure]:
    rates = [kbit for _, kbit, _, _ in watched.by_second()]
    groups = [seconds for _, seconds in watched.groups()]
    found = [
        Figure(
            "pictures a second", "a second", ((len(watched.settled) - 1) / watched.span_s,), id="rate", better="neither"
        ),
        Figure("pictures late by (99 of 100)", "ms", tuple(watched.jitter_ms()), id="jitter", statistic="p99"),
        Figure(
            "pictures missing", "a thousand", (1000 * watched.missing() / max(1, len(watched.settled)),), id="missing"
        ),
    ]
    if first:
        found.append(Figure("from the call to the first picture", "s", tuple(first), id="first-picture"))
    if rates:
        found.append(Figure("bit rate", "kbit/s", tuple(rates), id="bitrate", better="neither"))
    if groups:
        found.append(Figure("between key pictures", "s", tuple(groups), id="gop", better="neither"))
    if (noise := watched.noise[-1][1] if watched.noise else described.noise) is not None:
        found.append(Figure("noise N: bits a macroblock of a quiet picture", "bit", (noise,), id="noise"))
    if asked.ask_ms:
        found.append(Figure("an ONVIF answer", "ms", tuple(asked.ask_ms), id="onvif"))
    if asked.snapshot_ms:
        found.append(Figure("a still picture", "ms", tuple(asked.snapshot_ms), id="snapshot"))
    return found


def _curves(watched: Watched) -> list[Curve]:
    by_second = watched.by_second()
    curves = []
    if by_second:
        lines = {
            "all pictures": [(at, kbit) for at, kbit, _, _ in by_second],
            "key pictures": [(at, kbit) for at, _, kbit, _ in by_second],
        }
        curves.append(Curve("rate", "Bit rate", "s", "kbit/s", lines))
    shown = [one for one in watched.settled if one.at_s < watched.settled[0].at_s + _SHOWN_S] if watched.settled else []
    if shown:
        lines = {
            "key pictures": [(one.at_s, one.bits / 8000) for one in shown if one.key],
            "others": [(one.at_s, one.bits / 8000) for one in shown if not one.key],
        }
        curves.append(Curve("sizes", "Pictures one by one", "s", "kB", lines))
    qps = [(at, qp) for at, _, _, qp in by_second if qp is not None]
    if qps:
        curves.append(Curve("qp", "QP of pictures that are no key pictures", "s", "QP", {"QP": qps}))
    if len(watched.noise) > 1:
        curves.append(Curve("noise", "The gate's measure of noise, N", "s", "N", {"N": watched.noise}))
    return curves


def _stream_facts(watched: Watched, described: Inspection) -> list[Fact]:
    shape = f"{described.codec} {described.profile or ''}".strip()
    facts = [Fact("stream", f"{shape}, {described.width}×{described.height}", *_of_codec(described))]
    words = {
        "constant": "constant bit rate hides motion: set it to variable with a cap (`edusense camera plan`)",
        "unknown": "too few groups of pictures were seen to tell",
    }
    kind = described.rate_kind
    facts.append(
        Fact(
            "bit rate",
            kind,
            "warn" if kind == "constant" else "ok" if kind == "variable" else None,
            words.get(kind, ""),
        )
    )
    longest = max((seconds for _, seconds in watched.groups()), default=None)
    if longest is None:
        facts.append(Fact("key pictures", "fewer than two were seen", "fail", "set a key picture every 1 to 2 s"))
    elif longest > _LONG_GOP_S:
        told = f"up to {longest:.1f} s apart"
        facts.append(
            Fact(
                "key pictures",
                told,
                "warn",
                "events begin late and clips start early: set 1 to 2 s; is a smart codec on?",
            )
        )
    else:
        facts.append(Fact("key pictures", f"{longest:.1f} s apart at most", "ok"))
    if (qp := watched.qp()) is not None:
        facts.append(Fact("QP", f"{qp[0]:.0f} to {qp[2]:.0f}, mostly {qp[1]:.0f}"))
    facts.append(Fact("slices a picture", "not read" if described.slices is None else str(described.slices)))
    if described.b_pictures:
        facts.append(Fact("B-pictures", "yes", "warn", "the gate was made for streams without them: switch them off"))
    missing, count = watched.missing(), max(1, len(watched.settled))
    state: State = "ok" if missing < 0.001 * count else "warn" if missing < 0.02 * count else "fail"
    facts.append(
        Fact(
            "pictures missing",
            f"{missing} of {count + missing}",
            state,
            "" if state == "ok" else "cable, switch, or a camera that is overloaded",
        )
    )
    jitter = quantile(watched.jitter_ms(), 0.99)
    facts.append(
        Fact(
            "rhythm",
            f"99 of 100 pictures within {jitter:.0f} ms",
            "ok" if jitter < 250 else "warn",
            "" if jitter < 250 else "times of events are off by as much",
        )
    )
    if (drift := watched.drift()) is not None:
        told = f"{drift.ppm:+.0f} ppm, ± {drift.interval_ppm:.0f}"
        sure = abs(drift.ppm) > drift.interval_ppm
        facts.append(
            Fact(
                "clock drift",
                told,
                "warn" if sure and abs(drift.ppm) > 200 else "ok",
                "" if sure else "too small to be seen in this time",
            )
        )
    facts += [Fact("damage", part, "warn") for part in watched.damage[:3]]
    facts += [Fact("note", note, "warn") for note in described.notes]
    return facts


def _of_codec(described: Inspection) -> tuple[State, str]:
    if described.codec == "h264":
        return "ok", ""
    if described.codec == "h265":
        return "ok", "decoded by FFmpeg: a look costs more than with H.264"
    if described.codec == "jpeg":
        return "warn", "every picture is whole: it takes ten times the network of H.264"
    return "fail", "the box watches H.264, H.265 and JPEG"


def _light_facts(watched: Watched, picture: bytes | None) -> list[Fact]:
    """The gate's noise, said of the light in which it was measured."""
    now = light(picture)[0] if picture is not None else None
    noise = watched.noise[-1][1] if watched.noise else None
    facts = []
    for when, name in (("day", "noise by day"), ("night", "noise by night")):
        if now is not None and now != when:
            facts.append(Fact(name, "not measured", None, f"it is {now} here: measure again by {when}"))
        elif noise is None:
            facts.append(Fact(name, "not known", None, watched.gate[1]))
        elif now is None and when == "night":
            continue
        else:
            facts.append(Fact(name if now else "noise", f"N {noise:.1f}", *_of_noise(noise)))
    return facts


def _of_noise(noise: float) -> tuple[State, str]:
    if noise <= 4:
        return "ok", "the gate sees well"
    if noise <= 8:
        return "ok", "the gate sees fairly well"
    advice = "noise reduction on, or a lower bit rate"
    if noise <= 64:
        return "warn", f"the gate is weak here, and the clock helps out: {advice}"
    return "warn", f"the gate is blind here, and the clock takes over: {advice}"


def _call_facts(first: list[float], allowed: Sessions, lost: dict[str, Any], watched: Watched) -> list[Fact]:
    facts = []
    if first:
        worst = max(first)
        again = f", then {statistics.median(first[1:]):.1f} s" if len(first) > 1 else ""
        facts.append(
            Fact(
                "first picture", f"after {first[0]:.1f} s{again}; {worst:.1f} s at most", "ok" if worst < 5 else "warn"
            )
        )
    else:
        facts.append(Fact("first picture", "none when the box called it", "fail"))
    enough = allowed.playing >= 2
    told = f"{allowed.playing} of {allowed.asked} at once"
    words = "" if enough else "an operations centre could not watch beside the box"
    if allowed.reason is not None:
        words = f"{words}; to the next it said: {allowed.reason}".lstrip("; ")
    facts.append(Fact("sessions", told, "ok" if enough else "warn", words))
    if lost:
        share = lost["lost"] / max(1, lost["pictures_received"])
        facts.append(Fact("packets lost", str(lost["lost"]), "ok" if share < 0.001 else "warn"))
    return facts


def _onvif_facts(asked: Onvif) -> list[Fact]:
    if asked.problem is not None:
        return [Fact("ONVIF", "not measured", None, asked.problem)]
    facts = [Fact("ONVIF", asked.who or "")]
    if asked.clock_s is not None:
        off = abs(asked.clock_s)
        words = "set its clock: `edusense camera set-time`" if off > 2 else ""
        follows = "follows NTP" if asked.ntp else "does not say that it follows NTP"
        facts.append(
            Fact("clock", f"{asked.clock_s:+.1f} s beside ours; {follows}", "ok" if off <= 2 else "warn", words)
        )
    if asked.ask_ms:
        slow = quantile(asked.ask_ms, 0.95)
        facts.append(
            Fact(
                "ONVIF answers",
                f"{statistics.median(asked.ask_ms):.0f} ms, 95 of 100 within {slow:.0f} ms",
                "ok" if slow < 2000 else "warn",
            )
        )
    if asked.snapshot_ms:
        taken = statistics.median(asked.snapshot_ms)
        facts.append(Fact("still picture", f"{taken:.0f} ms", "ok" if taken < 3000 else "warn"))
    elif asked.snapshot_problem is not None:
        facts.append(Fact("still picture", "none", "warn", asked.snapshot_problem))
    return facts


def _verdict(facts: list[Fact]) -> Fact:
    """The camera as a whole, with the reasons."""
    bad = [fact for fact in facts if fact.state == "fail"]
    doubtful = [fact for fact in facts if fact.state == "warn"]
    if bad:
        return Fact("verdict", "not fit", "fail", "; ".join(_reason(fact) for fact in bad))
    if doubtful:
        return Fact("verdict", "fit, with reservations", "warn", "; ".join(_reason(fact) for fact in doubtful))
    return Fact("verdict", "fit", "ok")


def _reason(fact: Fact) -> str:
    return f"{fact.name}: {fact.value}" + (f" ({fact.words})" if fact.words else "")
