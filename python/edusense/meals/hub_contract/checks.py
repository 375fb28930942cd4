"""What every hub has to do, as checks that can be run against any: `edusense meals check-hub URL`.

Each makes up a terminal of its own, so they may be run again and again, in any order, against a hub that is in use.
"""

from __future__ import annotations

import contextlib
import gzip
import http.client
import threading
import zlib
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edusense.meals.hub_contract.plain import KEY_CHANGE, Tape, key_halves, seal
from edusense.meals.hub_contract.rig import HubRig, expect

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CHECKS"]


def _eaten(rig: HubRig, count: int = 4) -> Tape:
    """A terminal at which so many children ate: 1 + 2 × count records."""
    tape = rig.tape()
    for _ in range(count):
        tape.meal(rig.pupil())
    return tape


def says_who_it_is(rig: HubRig) -> None:
    """`GET /` gives its public key and the number of the contract's format."""
    answer = rig.ask("GET", "/")
    expect(answer.status == 200 and answer.told.get("format") == 1, f"it answered {answer}")
    expect(len(bytes.fromhex(str(answer.told.get("key")))) == 32, f"`{answer.told.get('key')}` is no public key")


def takes_a_batch_and_signs_for_it(rig: HubRig) -> None:
    """A batch from record 1 on is taken; sequence, totals and head in the acknowledgement are right."""
    tape = _eaten(rig)
    rig.taken(tape.batch(rig.key), tape, 9, new=9)


def goes_on_after_what_is_acknowledged(rig: HubRig) -> None:
    """A batch that begins right behind is taken, and the acknowledgement is of everything."""
    tape = _eaten(rig)
    rig.taken(tape.batch(rig.key, 1, 4), tape, 4)
    rig.taken(tape.batch(rig.key, 5, 5), tape, 5, new=1)
    rig.taken(tape.batch(rig.key, 6, 9), tape, 9, new=4)


def knows_what_it_has(rig: HubRig) -> None:
    """The same batch again changes nothing and is acknowledged, however often and however late."""
    tape = _eaten(rig)
    rig.taken(tape.batch(rig.key, 1, 4), tape, 4)
    rig.taken(tape.batch(rig.key, 5, 9), tape, 9)
    for first, last in ((1, 4), (5, 9), (1, 4), (2, 3), (9, 9)):
        rig.taken(tape.batch(rig.key, first, last), tape, 9, new=0)


def takes_what_is_new_of_an_overlap(rig: HubRig) -> None:
    """Of a batch that overlaps with what is there, and says the same, the rest is taken."""
    tape = _eaten(rig)
    rig.taken(tape.batch(rig.key, 1, 6), tape, 6)
    rig.taken(tape.batch(rig.key, 3, 8), tape, 8, new=2)
    rig.taken(tape.batch(rig.key, 1, 9), tape, 9, new=1)


def takes_one_batch_once_from_many(rig: HubRig) -> None:
    """The same batch over several connections at once is taken once, and each is acknowledged."""
    pupil, tape = rig.pupil(), rig.tape()
    tape.meal(pupil)
    batch = tape.batch(rig.key)
    found: list[Any] = []

    def send() -> None:
        try:
            found.append(rig.taken(batch, tape, 3)["new"])
        except Exception as error:  # noqa: BLE001 - told below
            found.append(error)

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(rig.timeout_s)
    expect(sorted(map(str, found)) == ["0", "0", "0", "3"], f"new records of four at once: {found}")
    expect(len(rig.meals(pupil)) == 1, "the meal is there more than once")


def refuses_a_gap(rig: HubRig) -> None:
    """A batch that begins later: 409 `gap` with the `sequence` that is there; then what is missing is taken."""
    tape = _eaten(rig)
    told = rig.refused(tape.batch(rig.key, 3, 9), 409, "gap")
    expect(told.get("sequence") == 0, f"nothing is there, and it says {told.get('sequence')}")
    rig.taken(tape.batch(rig.key, 1, 4), tape, 4)
    told = rig.refused(tape.batch(rig.key, 6, 9), 409, "gap")
    expect(told.get("sequence") == 4, f"4 records are there, and it says {told.get('sequence')}")
    rig.taken(tape.batch(rig.key, 5, 9), tape, 9)


def refuses_a_fork_and_keeps_the_evidence(rig: HubRig) -> None:
    """Another record under a sequence that is taken: 409 `fork`, both signed batches kept, nothing of it taken."""
    tape = _eaten(rig, 2)
    other = tape.copy()
    tape.meal(rig.pupil())
    other.meal(stranger := rig.pupil())
    rig.taken(first := tape.batch(rig.key), tape, 7)
    told = rig.refused(second := other.batch(rig.key, 3, 7), 409, "fork")
    number = told["case"]["case"]
    kept = [rig.ask("GET", f"/cases/{number}/evidence/{piece}").body for piece in told["case"]["evidence"]]
    expect(
        sorted(kept) == sorted([first, second]), f"the evidence is {len(kept)} pieces, and not the two signed batches"
    )
    expect(
        told["case"].get("record") == f"{tape.terminal}/{tape.epoch:08x}/6", f"it names {told['case'].get('record')}"
    )
    expect(not rig.meals(stranger), "a meal of the refused batch is there")
    rig.taken(tape.batch(rig.key), tape, 7, new=0)


def takes_an_epoch_that_follows(rig: HubRig) -> None:
    """A new epoch that follows the last record that is there is taken, and its meals count."""
    before = _eaten(rig)
    rig.taken(before.batch(rig.key), before, 9)
    after = before.reopened()
    after.meal(pupil := rig.pupil())
    expect(rig.taken(after.batch(rig.key), after, 3)["standing"] is True, "it does not stand")
    expect([meal["paid"] for meal in rig.meals(pupil)] == [True], "its meal is not paid")
    again = after.reopened()
    again.meal(rig.pupil())
    expect(rig.taken(again.batch(rig.key), again, 3)["standing"] is True, "the third one does not stand")


def asks_for_what_an_epoch_follows(rig: HubRig) -> None:
    """A new epoch that follows a record that is not there yet: 409 `gap`, with `epoch` and `sequence` that are."""
    before = _eaten(rig)
    after = before.reopened()
    after.meal(rig.pupil())
    told = rig.refused(after.batch(rig.key), 409, "gap")
    expect((told.get("epoch"), told.get("sequence")) == (f"{before.epoch:08x}", 0), f"it says {told}")
    rig.taken(before.batch(rig.key, 1, 5), before, 5)
    told = rig.refused(after.batch(rig.key), 409, "gap")
    expect((told.get("epoch"), told.get("sequence")) == (f"{before.epoch:08x}", 5), f"it says {told}")
    rig.taken(before.batch(rig.key, 6), before, 9)
    expect(rig.taken(after.batch(rig.key), after, 3)["standing"] is True, "it does not stand")


def notices_a_disk_that_was_put_back(rig: HubRig) -> None:
    """An epoch that follows an earlier record than the last: a case `rolled-back`, both branches, one paid."""
    tape = _eaten(rig, 2)
    image = tape.copy()
    tape.meal(lost := rig.pupil())
    rig.taken(tape.batch(rig.key), tape, 7)
    branch = image.reopened()
    branch.meal(held := rig.pupil())
    told = rig.taken(branch.batch(rig.key), branch, 3)
    expect(told["standing"] is False, "the branch stands beside what was there")
    (case,) = rig.cases("rolled-back", tape.terminal) or [{}]
    branches = [(one.get("epoch"), one.get("first")) for one in case.get("branches", [])]
    expect(branches == [(f"{tape.epoch:08x}", 6), (f"{branch.epoch:08x}", 1)], f"the case's branches are {branches}")
    expect(len(case["evidence"]) >= 2, "the case has not the signed batches of both branches")
    expect([meal["paid"] for meal in rig.meals(lost)] == [True], "what was there first is not paid any more")
    expect([meal["paid"] for meal in rig.meals(held)] == [False], "a meal of the branch is paid before anybody decided")
    branch.meal(rig.pupil())
    rig.taken(branch.batch(rig.key, 4), branch, 5, new=2)
    later = branch.reopened()
    later.meal(rig.pupil())
    expect(rig.taken(later.batch(rig.key), later, 3)["standing"] is False, "what follows a branch stands")


def notices_an_exchanged_disk(rig: HubRig) -> None:
    """A terminal that begins anew, as if nothing had been: a case `rolled-back`."""
    tape = _eaten(rig)
    rig.taken(tape.batch(rig.key), tape, 9)
    anew = rig.tape()
    anew.terminal = tape.terminal
    anew.meal(rig.pupil())
    expect(rig.taken(anew.batch(rig.key), anew, 3)["standing"] is False, "it stands beside what was there")
    expect(len(rig.cases("rolled-back", tape.terminal)) == 1, "there is no case")


def notices_two_epochs_after_one_record(rig: HubRig) -> None:
    """Two epochs that follow one record: the second one is a branch, with a case `rolled-back`."""
    tape = _eaten(rig)
    rig.taken(tape.batch(rig.key), tape, 9)
    one, other = tape.reopened(), tape.reopened()
    one.meal(rig.pupil())
    other.meal(rig.pupil())
    expect(rig.taken(one.batch(rig.key), one, 3)["standing"] is True, "the first one does not stand")
    expect(rig.taken(other.batch(rig.key), other, 3)["standing"] is False, "the second one stands, too")
    expect(len(rig.cases("rolled-back", tape.terminal)) == 1, "there is no case")


def pays_one_child_once(rig: HubRig) -> None:
    """Two terminals served one child: both facts are kept, one is paid, a case `served-twice` names both."""
    pupil, one, other = rig.pupil(), rig.tape(), rig.tape()
    one.meal(pupil)
    other.meal(pupil)
    rig.taken(one.batch(rig.key), one, 3)
    told = rig.taken(other.batch(rig.key), other, 3)
    meals = rig.meals(pupil)
    expect([meal["paid"] for meal in meals] == [True, False], f"of two meals are paid: {[m['paid'] for m in meals]}")
    records = [meal["record"] for meal in meals]
    wanted = [f"{tape.terminal}/{tape.epoch:08x}/2" for tape in (one, other)]
    expect(records == wanted, f"the facts are {records}")
    expect([case["records"] for case in told["cases"]] == [wanted], f"the cases are {told['cases']}")


def takes_a_meal_back(rig: HubRig) -> None:
    """A reversal frees child and slot: then the other terminal's meal is the one that is paid."""
    pupil, one, other = rig.pupil(), rig.tape(), rig.tape()
    key = one.meal(pupil)
    other.meal(pupil)
    rig.taken(one.batch(rig.key), one, 3)
    rig.taken(other.batch(rig.key), other, 3)
    one.reverse(key, pupil)
    rig.taken(one.batch(rig.key, 4), one, 4)
    expect([meal["paid"] for meal in rig.meals(pupil)] == [False, True], "the wrong one is paid")


def takes_a_meal_of_an_earlier_epoch_back(rig: HubRig) -> None:
    """A reversal may name a meal of an earlier epoch of its terminal."""
    pupil, before = rig.pupil(), rig.tape()
    key = before.meal(pupil)
    rig.taken(before.batch(rig.key), before, 3)
    after = before.reopened()
    after.reverse(key, pupil)
    rig.taken(after.batch(rig.key), after, 2)
    expect([meal["paid"] for meal in rig.meals(pupil)] == [False], "it is paid all the same")


def refuses_other_keys(rig: HubRig) -> None:
    """A batch that is signed with another key than the school's: 403 `other-key`, whatever it says."""
    tape = _eaten(rig)
    rig.taken(tape.batch(rig.key, 1, 4), tape, 4)
    rig.refused(tape.batch(Ed25519PrivateKey.generate(), 5, 9), 403, "other-key")
    rig.taken(tape.batch(rig.key, 5, 9), tape, 9)


def refuses_another_school(rig: HubRig) -> None:
    """A batch of another school, signed with this school's key: 403 `other-key`."""
    tape = _eaten(rig)
    rig.taken(tape.batch(rig.key), tape, 9)
    other = Tape(rig.school ^ 1, tape.terminal)
    other.meal(rig.pupil())
    rig.refused(other.batch(rig.key), 403, "other-key")


def follows_a_change_of_key(rig: HubRig) -> None:
    """A key that a record of the school named is the school's from then on; one that none named is not."""
    tape, new = rig.tape(), Ed25519PrivateKey.generate()
    low, high = key_halves(new)
    tape.write(KEY_CHANGE, pupil=low, card=high)
    rig.taken(tape.batch(rig.key), tape, 2)
    tape.meal(rig.pupil())
    rig.refused(tape.batch(Ed25519PrivateKey.generate(), 3), 403, "other-key")
    rig.taken(tape.batch(new, 3), tape, 4)
    tape.meal(rig.pupil())
    rig.taken(tape.batch(rig.key, 5), tape, 6)


def follows_keys_that_were_changed_more_than_once(rig: HubRig) -> None:
    """Two changes in one batch, signed with the key before both, and two in two batches: all are the school's then."""
    tape, keys = rig.tape(), [Ed25519PrivateKey.generate() for _ in range(4)]
    for key in keys[:2]:
        low, high = key_halves(key)
        tape.write(KEY_CHANGE, pupil=low, card=high)
    rig.refused(tape.batch(keys[0]), 403, "other-key")
    rig.taken(tape.batch(rig.key), tape, 3)
    signer = keys[1]
    for key in keys[2:]:
        low, high = key_halves(key)
        _, first = tape.write(KEY_CHANGE, pupil=low, card=high)
        rig.taken(tape.batch(signer, first), tape, first)
        signer = key
    _, first = tape.meal(rig.pupil())
    rig.taken(tape.batch(signer, first), tape, first + 1)


def refuses_what_is_cut(rig: HubRig) -> None:
    """A batch that ends early, wherever: 422 `damaged`, and nothing of it is there."""
    tape = _eaten(rig)
    batch = tape.batch(rig.key)
    for length in (0, 1, 4, 111, 112, 175, 176, 177, 268, 269, 300, 301, len(batch) - 94, len(batch) - 1):
        rig.refused(batch[:length], 422, "damaged")
    rig.refused(batch + b"\0", 422, "damaged")
    expect(rig.line(tape) is None, "something of a cut batch is there")


def refuses_what_was_altered(rig: HubRig) -> None:
    """One bit changed, wherever: 422 `damaged`, and nothing of it is there."""
    tape = _eaten(rig, 1)
    batch = tape.batch(rig.key)
    # Each field of the header, the signature, and of each row what it is about.
    places = [
        0,
        3,
        5,
        9,
        13,
        17,
        25,
        29,
        33,
        37,
        41,
        50,
        85,
        120,
        170,
        176,
        180,
        176 + 34,
        176 + 50,
        176 + 54,
        176 + 92,
    ]
    for at in [*places, 176 + 100, 176 + 125 + 33, 176 + 125 + 53, len(batch) - 93, len(batch) - 40, len(batch) - 1]:
        changed = bytearray(batch)
        changed[at] ^= 1 << at % 8
        rig.refused(bytes(changed), 422, "damaged")
    expect(rig.line(tape) is None, "something of an altered batch is there")


def refuses_what_does_not_add_up(rig: HubRig) -> None:
    """A header that is signed, and does not fit its records: 422 `damaged`."""
    tape = _eaten(rig, 2)
    for change in ({"terminal": 1}, {"epoch": 7}, {"first": 2}, {"count": 4}, {"count": 6}, {"count": 0}, {"sum": 1}):
        rig.refused(seal(tape.records, rig.key, **change), 422, "damaged")
    for change in ({"school": rig.school ^ 1}, {"first": 0}, {"count": 2**32 - 1}, {"first": 2**64 - 1}):
        rig.refused(seal(tape.records, rig.key, **change), 422, "damaged")
    one, other = tape.records[0], _eaten(rig).records[1]
    changed = tape.copy()
    changed.records = [one, other]
    rig.refused(changed.batch(rig.key), 422, "damaged")
    expect(rig.line(tape) is None, "something is there")


def refuses_what_is_no_batch(rig: HubRig) -> None:
    """Bytes of any other kind: 422 `damaged`."""
    for body in (b"{}", bytes(176), b"\xff" * 1000, b"EDB\x01" + bytes(300), b"EDM\x01" + bytes(124)):
        rig.refused(body, 422, "damaged")


def refuses_a_gigabyte_unread(rig: HubRig) -> None:
    """A body of 1 GB is refused with 413 before it is read, by its announced length and without one."""
    with rig.connection() as connection:
        connection.putrequest("POST", rig.path("/batches"))
        for name, value in rig.headers({"Content-Length": str(1 << 30)}).items():
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        expect(response.status == 413, f"it answered {response.status} to 1 GB")
    with rig.connection() as connection:
        connection.putrequest("POST", rig.path("/batches"))
        for name, value in rig.headers({"Transfer-Encoding": "chunked"}).items():
            connection.putheader(name, value)
        connection.endheaders()
        sent, piece = 0, b"10000\r\n" + bytes(65_536) + b"\r\n"
        # Who refuses closes: what comes too late breaks, and the answer may be lost with it.
        with contextlib.suppress(OSError, http.client.HTTPException):
            while sent < 1 << 30:
                connection.send(piece)
                sent += 65_536
            connection.send(b"0\r\n\r\n")
            expect(connection.getresponse().status != 200, "it took 1 GB")
        expect(sent < 256 << 20, f"it read {sent} bytes")


def reads_compressed_batches(rig: HubRig) -> None:
    """`Content-Encoding: gzip` is understood; what is small on the wire and huge beyond it is refused with 413."""
    tape = _eaten(rig)
    answer = rig.post(gzip.compress(tape.batch(rig.key)), {"Content-Encoding": "gzip"})
    expect(answer.status == 200, f"compressed, it answered {answer}")
    rig.acknowledged(answer.told, tape, 9)
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(64)) + packer.flush()
    answer = rig.post(bomb, {"Content-Encoding": "gzip"})
    expect(answer.status == 413, f"to 64 MB in {len(bomb)} bytes it answered {answer}")
    for body in (b"", b"no gzip", gzip.compress(tape.batch(rig.key))[:-20], gzip.compress(b"x") + b"more"):
        answer = rig.post(body, {"Content-Encoding": "gzip"})
        expect(answer.status in (400, 422), f"to broken compression it answered {answer}")


def forgets_a_body_that_broke_off(rig: HubRig) -> None:
    """A connection that ends in mid-body leaves nothing behind; the same batch is taken afterwards."""
    tape = _eaten(rig)
    batch = tape.batch(rig.key)
    with rig.connection() as connection:
        connection.putrequest("POST", rig.path("/batches"))
        for name, value in rig.headers({"Content-Length": str(len(batch))}).items():
            connection.putheader(name, value)
        connection.endheaders()
        connection.send(batch[: len(batch) // 2])
    expect(rig.line(tape) is None, "half a batch is there")
    rig.taken(batch, tape, 9, new=9)


def tells_what_it_holds(rig: HubRig) -> None:
    """What is there can be asked for: how far, signed; totals of stretches; every record, byte for byte."""
    tape = _eaten(rig)
    rig.taken(tape.batch(rig.key, 1, 4), tape, 4)
    rig.taken(tape.batch(rig.key, 5, 9), tape, 9)
    line = rig.line(tape)
    expect(line is not None, "it says that nothing is there")
    rig.acknowledged(line or {}, tape, 9)
    names = [(one["terminal"], one["epoch"]) for one in rig.lines()]
    expect((tape.terminal, f"{tape.epoch:08x}") in names, "the school's list has not this epoch")
    after = tape.reopened()
    after.meal(rig.pupil())
    rig.taken(after.batch(rig.key), after, 3)
    newest = [one["epoch"] for one in rig.lines(newest=True) if one["terminal"] == tape.terminal]
    expect(newest == [f"{after.epoch:08x}"], f"the newest of its epochs are {newest}")
    where = f"/schools/{rig.school}/{tape.terminal}/{tape.epoch:08x}"
    ranges = rig.ask("GET", f"{where}/ranges?size=4").told.get("ranges", [])
    found = [(one["first"], one["last"], one["meals"], one["sum_tiyn"]) for one in ranges]
    expect(found == [(1, 4, 2, 90_000), (5, 8, 2, 90_000), (9, 9, 0, 0)], f"the stretches are {found}")
    expect(
        rig.ask("GET", f"{where}/records").body == b"".join(tape.records), "the records are not those that were sent"
    )
    part = rig.ask("GET", f"{where}/records?first=3&last=6").body
    expect(part == b"".join(tape.records[2:6]), "records 3 to 6 are not those that were sent")
    answer = rig.ask("GET", f"/schools/{rig.school}/{tape.terminal}/{tape.epoch ^ 1:08x}")
    expect(answer.status == 404, f"of an epoch that it has not it says {answer}")


def decides_a_branch(rig: HubRig) -> None:
    """Somebody decides that a branch counts: then its meals are paid, each child's once."""
    tape = _eaten(rig, 1)
    image = tape.copy()
    tape.meal(both := rig.pupil())
    rig.taken(tape.batch(rig.key), tape, 5)
    branch = image.reopened()
    branch.meal(both)
    branch.meal(alone := rig.pupil())
    rig.taken(branch.batch(rig.key), branch, 5)
    (case,) = rig.cases("rolled-back", tape.terminal) or [{"case": 0}]
    answer = rig.ask("POST", f"/cases/{case['case']}", b'{"decision": "count", "by": "check-hub"}')
    expect(answer.status == 200 and answer.told.get("by") == "check-hub", f"it answered {answer}")
    expect([meal["paid"] for meal in rig.meals(alone)] == [True], "a meal of the branch is not paid")
    expect([meal["paid"] for meal in rig.meals(both)] == [True, False], "a child's meal is paid twice, or not at all")


def closes_a_case_once(rig: HubRig) -> None:
    """The same decision again is answered as before; another one is refused with 409 `decided`."""
    tape = _eaten(rig, 1)
    image = tape.copy()
    tape.meal(rig.pupil())
    rig.taken(tape.batch(rig.key), tape, 5)
    branch = image.reopened()
    branch.meal(held := rig.pupil())
    rig.taken(branch.batch(rig.key), branch, 3)
    (case,) = rig.cases("rolled-back", tape.terminal) or [{"case": 0}]
    path = f"/cases/{case['case']}"
    for _ in range(2):
        answer = rig.ask("POST", path, b'{"decision": "leave-out", "by": "check-hub", "why": "a check"}')
        expect(answer.status == 200 and answer.told.get("why") == "a check", f"it answered {answer}")
    answer = rig.ask("POST", path, b'{"decision": "count", "by": "check-hub"}')
    expect((answer.status, answer.told.get("error")) == (409, "decided"), f"decided again, it answered {answer}")
    expect([meal["paid"] for meal in rig.meals(held)] == [False], "a meal that was left out is paid")


def _forked(rig: HubRig) -> tuple[Tape, Tape, dict[str, object]]:
    """Two tapes that are the same up to record 3; the hub has 7 records of the first one, and the case."""
    tape = _eaten(rig, 1)
    other = tape.copy()
    for one in (tape, tape, other, other, other):
        one.meal(rig.pupil())
    rig.taken(tape.batch(rig.key), tape, 7)
    told = rig.refused(other.batch(rig.key, 3), 409, "fork")
    return tape, other, told["case"]


def lets_a_fork_give_way(rig: HubRig) -> None:
    """A fork that is closed with `count`: what was there gives way from that record on; the other branch is taken."""
    tape, other, case = _forked(rig)
    answer = rig.ask("POST", f"/cases/{case['case']}", b'{"decision": "count", "by": "check-hub"}')
    expect(answer.status == 200, f"it answered {answer}")
    rig.taken(other.batch(rig.key), other, 9, new=6)
    told = rig.refused(tape.batch(rig.key), 409, "fork")
    expect(told["case"]["case"] != case["case"], "what gave way comes back, and it is no case of its own")


def leaves_a_fork_out(rig: HubRig) -> None:
    """A fork that is closed with `leave-out`: the refusal says so; an epoch that follows the other branch is taken."""
    tape, other, case = _forked(rig)
    answer = rig.ask("POST", f"/cases/{case['case']}", b'{"decision": "leave-out", "by": "check-hub"}')
    expect(answer.status == 200, f"it answered {answer}")
    told = rig.refused(other.batch(rig.key, 3), 409, "fork")
    expect(told["case"].get("decision") == "leave-out", "the refusal does not say how the case was closed")
    rig.taken(tape.batch(rig.key), tape, 7, new=0)
    later = other.reopened()
    later.meal(rig.pupil())
    expect(rig.taken(later.batch(rig.key), later, 3)["standing"] is True, "what follows it does not stand")


CHECKS: Final[tuple[Callable[[HubRig], None], ...]] = (
    says_who_it_is,
    takes_a_batch_and_signs_for_it,
    goes_on_after_what_is_acknowledged,
    knows_what_it_has,
    takes_what_is_new_of_an_overlap,
    takes_one_batch_once_from_many,
    refuses_a_gap,
    refuses_a_fork_and_keeps_the_evidence,
    takes_an_epoch_that_follows,
    asks_for_what_an_epoch_follows,
    notices_a_disk_that_was_put_back,
    notices_an_exchanged_disk,
    notices_two_epochs_after_one_record,
    pays_one_child_once,
    takes_a_meal_back,
    takes_a_meal_of_an_earlier_epoch_back,
    refuses_other_keys,
    refuses_another_school,
    follows_a_change_of_key,
    follows_keys_that_were_changed_more_than_once,
    refuses_what_is_cut,
    refuses_what_was_altered,
    refuses_what_does_not_add_up,
    refuses_what_is_no_batch,
    refuses_a_gigabyte_unread,
    reads_compressed_batches,
    forgets_a_body_that_broke_off,
    tells_what_it_holds,
    decides_a_branch,
    closes_a_case_once,
    lets_a_fork_give_way,
    leaves_a_fork_out,
)
"""Every check, in an order in which a hub that is being written passes more and more of them."""
