"""The checks of a centre: a name says what is tried, a docstring what the contract asks for."""

from __future__ import annotations

import hashlib
import secrets
import time
import urllib.parse
from typing import TYPE_CHECKING, Final

from edusense.alerts.centre_check.rig import (
    STRANGER,
    CheckSkipped,
    json_of,
    of_json,
    of_piece,
    offset_of,
    said,
)
from edusense.alerts.https_json import RANGE
from edusense.checks import CheckFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from edusense.alerts.centre_check.rig import CentreRig
    from edusense.alerts.web import Answer

__all__ = ["CHECKS", "speaks_https"]

WAIT_S: Final = 2.0
"""How long a question for answers waits at the centre."""
SOON_S: Final = 3.0
"""What is to be answered at once is answered within this, over a slow line too."""
LATE_S: Final = 5.0
"""How much later than it was asked to a centre may end a wait."""
MOST_TURNS: Final = 50
"""Questions until the newest answer is reached."""
PIECE: Final = 1000
_THIS_ONE: Final = frozenset({400, 413, 415, 422})
"""How one message or file is refused, and nothing else."""


# Messages.


def speaks_https(rig: CentreRig) -> str:
    """Beyond its own machine a centre is reached by https alone, with a certificate that is to be trusted."""
    if not rig.in_clear:
        return "https, and its certificate is to be trusted"
    if rig.nearby:
        raise CheckSkipped("http on this machine: nobody is on the way who could read it")
    raise CheckFailed(f"http to `{rig.host}`: whoever is on the way reads it; nothing was sent")


def takes_a_message(rig: CentreRig) -> str:
    """A message that is kept is answered with 2xx and its own key."""
    return f"{rig.kept(rig.message(rig.case())).status} with its key"


def knows_a_message_again(rig: CentreRig) -> str:
    """A message whose key is known is answered as before, with 2xx and its key: its first answer was lost."""
    told = rig.message(rig.case())
    return ", ".join(str(rig.kept(told).status) for _ in range(3)) + " with the same key"


def takes_updates(rig: CentreRig) -> str:
    """Messages of a case come in the order of their numbers; a number may be missing."""
    case = rig.known()
    for sequence in (2, 3, 5):
        rig.kept(rig.message(case, sequence))
    return "numbers 1, 2, 3 and 5"


def refuses_bad_json(rig: CentreRig) -> str:
    """A body that is no JSON object is refused with 400, and never answered with 5xx: that would be sent for ever."""
    told = json_of(rig.message(rig.case()))
    for what, body in (
        ("cut JSON", told[: len(told) // 2]),
        ("a list", b"[" + told + b"]"),
        ("bytes that are no UTF-8", b'{"key":"\xff\xfe"}'),
        ("nothing", b""),
    ):
        for path in ("", "/heartbeat"):
            answer = rig.ask("POST", path, body, {"Content-Type": "application/json"})
            if answer.status != 400:
                raise CheckFailed(f"{what} as the body of POST {path or 'url'}: {said(answer)}")
    return "400"


def takes_a_wrong_clock(rig: CentreRig) -> str:
    """A box is not refused for its clock: its alarm is an alarm also where it was signed in the year 2000."""
    rig.must_sign()
    told = rig.message(rig.case())
    body = json_of(told)
    answer = rig.as_it_is("POST", "", body, rig.signed("POST", "", body, of_json(told), created=946_684_800))
    if not 200 <= answer.status < 300:
        raise CheckFailed(f"a message that was signed in the year 2000: {said(answer)}")
    return f"{answer.status} for what was signed in the year 2000"


# Who signs.


def refuses_the_unsigned(rig: CentreRig) -> str:
    """What is not signed is refused with 401 or 403: messages, pieces, questions, heartbeats."""
    rig.must_sign()
    case = rig.known()
    content = secrets.token_bytes(PIECE)
    told = rig.message(case, 2)
    beat = rig.beat(time.time())
    still = f"/cases/{case}/still"
    query = urllib.parse.urlencode({"school": rig.school, "after": "", "wait": "0"})
    return _strangers(
        ("an unsigned message", rig.as_it_is("POST", "", json_of(told), of_json(told))),
        ("an unsigned heartbeat", rig.as_it_is("POST", "/heartbeat", json_of(beat), of_json(beat))),
        ("an unsigned question for answers", rig.as_it_is("GET", f"/answers?{query}", b"", {})),
        ("an unsigned piece", rig.as_it_is("PATCH", still, content, of_piece(case, content, 0, "still"))),
        ("an unsigned HEAD", rig.as_it_is("HEAD", still, b"", {})),
    )


def refuses_another_secret(rig: CentreRig) -> str:
    """What is signed with another secret, or by somebody who is not known, is refused with 401 or 403."""
    rig.must_sign()
    told = rig.message(rig.case())
    with (
        rig.another(password=secrets.token_hex(16)) as wrong,
        rig.another(user=f"nobody-{secrets.token_hex(8)}") as nobody,
    ):
        return _strangers(
            ("a message that is signed with another secret", rig.post(told, web=wrong)),
            ("a message of somebody who is not known", rig.post(told, web=nobody)),
        )


def refuses_what_was_changed(rig: CentreRig) -> str:
    """What was changed after it was signed is refused with 401 or 403: its body, its path, or how long a file is."""
    rig.must_sign()
    case = rig.known()
    told, other = (rig.message(case, 2, severity=severity) for severity in ("minor", "extreme"))
    content = secrets.token_bytes(2 * PIECE)
    path, piece = f"/cases/{case}/still", content[:PIECE]
    message = rig.signed("POST", "", json_of(told), of_json(told))
    part = rig.signed("PATCH", path, piece, of_piece(case, content, 0, "still"))
    return _strangers(
        ("a message with another body", rig.as_it_is("POST", "", json_of(other), message)),
        ("a piece of a still as one of a clip", rig.as_it_is("PATCH", f"/cases/{case}/clip", piece, part)),
        ("a piece with another length", rig.as_it_is("PATCH", path, piece, part | {"Upload-Length": str(PIECE)})),
    )


def refuses_another_school(rig: CentreRig) -> str:
    """A signer speaks for one school: a message, heartbeat or question that names another is refused with 403."""
    rig.must_sign()
    rig.known()
    other = {**rig.settings.school, "id": f"{rig.school}-{secrets.token_hex(4)}"}
    query = urllib.parse.urlencode({"school": other["id"], "after": "", "wait": "0"})
    return _strangers(
        ("a message of another school", rig.post(rig.message(rig.case(), school=other))),
        ("a heartbeat of another school", rig.post(rig.beat(time.time(), school=other), "/heartbeat")),
        ("a question for another school's answers", rig.ask("GET", f"/answers?{query}")),
    )


# Stills and clips.


def knows_no_still_yet(rig: CentreRig) -> str:
    """HEAD of a still that never came is answered with 404, or with Upload-Offset 0."""
    if have := rig.there(rig.known()):
        raise CheckFailed(f"Upload-Offset {have} of a still that never came")
    return "nothing is there"


def takes_a_still(rig: CentreRig) -> str:
    """A still in one piece is taken, and the answer tells in Upload-Offset how much is kept."""
    content = secrets.token_bytes(20 * PIECE)
    rig.taken(rig.known(), content, 0, len(content))
    return f"{len(content)} bytes in one piece"


def takes_a_clip(rig: CentreRig) -> str:
    """A clip is taken in pieces of 256 KiB, each of which begins where the last one ended."""
    case, content = rig.known(), secrets.token_bytes(2 * RANGE + PIECE)
    for offset in range(0, len(content), RANGE):
        rig.taken(case, content, offset, min(RANGE, len(content) - offset), name="clip")
    return f"{len(content)} bytes in 3 pieces"


def tells_how_much_is_there(rig: CentreRig) -> str:
    """HEAD tells in Upload-Offset how much is kept, so that a clip goes on where its line was cut."""
    case, content = rig.known(), secrets.token_bytes(2 * PIECE)
    for offset in (0, PIECE):
        rig.taken(case, content, offset, PIECE)
        if (have := rig.there(case)) != offset + PIECE:
            raise CheckFailed(f"HEAD tells of {have} bytes where {offset + PIECE} were taken")
    return "after the first piece, and of the whole"


def refuses_a_gap(rig: CentreRig) -> str:
    """A piece that does not begin where the file ends is refused with 409, and Upload-Offset says where that is."""
    case, content = rig.known(), secrets.token_bytes(3 * PIECE)
    for have, offset in ((0, PIECE), (PIECE, 2 * PIECE)):
        if have:
            rig.taken(case, content, 0, have)
        answer = rig.piece(case, content, offset, PIECE)
        where = f"a piece at {offset}, where {have} bytes are there"
        if answer.status != 409:
            raise CheckFailed(f"{where}: {said(answer)}")
        if (told := offset_of(answer)) != have:
            raise CheckFailed(f"{where}: 409 with Upload-Offset {told}")
    return "409 with the right Upload-Offset"


def takes_no_piece_twice(rig: CentreRig) -> str:
    """A piece that comes twice, its answer was lost, counts once: 409 or 2xx with the same Upload-Offset as before."""
    case, content = rig.known(), secrets.token_bytes(2 * PIECE)
    for offset in (0, PIECE):
        rig.taken(case, content, offset, PIECE)
        answer = rig.piece(case, content, offset, PIECE)
        where = f"the piece at {offset}, which came a second time"
        if answer.status != 409 and not 200 <= answer.status < 300:
            raise CheckFailed(f"{where}: {said(answer)}")
        if (have := offset_of(answer)) != offset + PIECE:
            raise CheckFailed(f"{where}: {answer.status} with Upload-Offset {have} instead of {offset + PIECE}")
    return "each of two pieces counted once"


def refuses_a_wrong_hash(rig: CentreRig) -> str:
    """A whole file that has another hash than Upload-Sha256 is refused with 422: that file alone, for good."""
    case, content = rig.known(), secrets.token_bytes(2 * PIECE)
    wrong = hashlib.sha256(b"another file").hexdigest()
    first = rig.piece(case, content, 0, PIECE, sha256=wrong)
    if not 200 <= first.status < 300:
        raise CheckFailed(f"the first piece was not taken: {said(first)}")
    answer = rig.piece(case, content, PIECE, PIECE, sha256=wrong)
    if answer.status not in _THIS_ONE:
        raise CheckFailed(f"a file whose hash is wrong: {said(answer)}")
    return str(answer.status)


# Answers.


def answers_at_once(rig: CentreRig) -> str:
    """Asked with wait=0, a centre answers at once: a list, perhaps empty, and a cursor."""
    begun = time.monotonic()
    listed, _ = rig.answers({})
    if (took := time.monotonic() - begun) > SOON_S:
        raise CheckFailed(f"the answer came after {took:.1f} s")
    return f"{len(listed)} answers after {took:.2f} s"


def gives_the_same_again(rig: CentreRig) -> str:
    """The same cursor gives the same answers, because the first time they may have been lost on their way."""
    first, _ = rig.answers({})
    again, cursor = rig.answers({})
    ids = [one["id"] for one in first]
    if [one["id"] for one in again[: len(ids)]] != ids:
        raise CheckFailed(f"{len(ids)} answers the first time, and others the second time")
    later, _ = rig.answers({"after": cursor})
    if again and (twice := {one["id"] for one in again} & {one["id"] for one in later}):
        raise CheckFailed(f"{len(twice)} answers come again after the cursor that stood beside them")
    return f"{len(ids)} answers"


def waits_for_answers(rig: CentreRig) -> str:
    """Asked with wait=2 where there is nothing new, a centre answers with an empty list within some seconds."""
    cursor = ""
    for _ in range(MOST_TURNS):
        begun = time.monotonic()
        listed, after = rig.answers({"after": cursor}, wait_s=WAIT_S)
        took = time.monotonic() - begun
        if took > WAIT_S + LATE_S:
            raise CheckFailed(f"the answer came after {took:.1f} s")
        if not listed:
            return f"an empty list after {took:.1f} s"
        cursor = after
    raise CheckFailed(f"there is always one more answer, after {MOST_TURNS} lists")


def asks_for_the_school(rig: CentreRig) -> str:
    """A question for answers without a school is refused with 400: nobody gets the answers of all schools."""
    answer = rig.ask("GET", "/answers?after=&wait=0")
    if answer.status != 400:
        raise CheckFailed(f"a question without a school: {said(answer)}")
    return "400"


# Heartbeats.


def takes_a_heartbeat(rig: CentreRig) -> str:
    """A heartbeat is answered as a message is: with 2xx and its key."""
    return f"{rig.kept(rig.beat(time.time()), '/heartbeat').status} with its key"


def takes_an_older_heartbeat(rig: CentreRig) -> str:
    """A heartbeat that is older than the newest is answered with 2xx, or with 409, and changes nothing."""
    now_s = time.time()
    rig.kept(rig.beat(now_s), "/heartbeat")
    answer = rig.post(rig.beat(now_s - 600), "/heartbeat")
    if answer.status != 409 and not 200 <= answer.status < 300:
        raise CheckFailed(f"one that is ten minutes older: {said(answer)}")
    return f"{answer.status}; that it changed nothing is not seen from here"


def _strangers(*tried: tuple[str, Answer]) -> str:
    """Holds answers to what must not be believed against what they have to be."""
    for what, answer in tried:
        if answer.status not in STRANGER:
            raise CheckFailed(f"{what}: {said(answer)}")
    return ", ".join(sorted({str(answer.status) for _, answer in tried}))


CHECKS: Final[tuple[Callable[[CentreRig], str], ...]] = (
    speaks_https,
    takes_a_message,
    knows_a_message_again,
    takes_updates,
    refuses_bad_json,
    takes_a_wrong_clock,
    refuses_the_unsigned,
    refuses_another_secret,
    refuses_what_was_changed,
    refuses_another_school,
    knows_no_still_yet,
    takes_a_still,
    takes_a_clip,
    tells_how_much_is_there,
    refuses_a_gap,
    takes_no_piece_twice,
    refuses_a_wrong_hash,
    answers_at_once,
    gives_the_same_again,
    waits_for_answers,
    asks_for_the_school,
    takes_a_heartbeat,
    takes_an_older_heartbeat,
)
