"""The virtual hub passes the contract that any hub has to pass; and what it does wrong, when it is told to."""

from __future__ import annotations

import contextlib
import gzip

import pytest

from edusense.errors import HubUnavailableError, UsageError
from edusense.meals.hub_contract import CHECKS, CheckFailed, HubRig
from edusense.sim.hub import VirtualHub

SCHOOL = 51001


@pytest.fixture(scope="module")
def hub():
    with VirtualHub() as hub:
        yield hub


@pytest.fixture(scope="module")
def rig(hub):
    return HubRig(hub.url, SCHOOL)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_virtual_hub_passes(check, rig):
    check(rig)


def test_little_of_a_gigabyte_is_held(hub, rig):
    next(check for check in CHECKS if check.__name__ == "refuses_a_gigabyte_unread")(rig)
    assert hub.application.largest < 9 << 20


@pytest.fixture
def fresh(tmp_path):
    with VirtualHub(tmp_path) as hub:
        yield hub, HubRig(hub.url, SCHOOL, timeout_s=10.0)


def eaten(rig: HubRig, count: int = 4):
    tape = rig.tape()
    for _ in range(count):
        tape.meal(rig.pupil())
    return tape


@pytest.mark.parametrize("fault", ["commit-without-answer", "errors-after-commit", "twice"])
def test_what_was_kept_without_an_answer_is_there_once(fresh, fault):
    hub, rig = fresh
    tape = eaten(rig)
    hub.set_faults(fault)
    with contextlib.suppress(HubUnavailableError):
        answer = rig.post(tape.batch(rig.key))
        assert fault == "twice" or answer.status == 500
        assert fault != "twice" or (answer.status == 200 and answer.told["new"] == 0)
    hub.set_faults()
    told = rig.taken(tape.batch(rig.key), tape, 9, new=0)
    assert told["sequence"] == 9
    assert hub.store.day_totals(SCHOOL) == [
        {"day": 20261005, "meals": 4, "reversed": 0, "held": 0, "paid": 4, "paid_tiyn": 180_000}
    ]


def test_a_lost_answer_and_a_cut_body_leave_a_hub_that_can_be_asked_again(fresh):
    hub, rig = fresh
    tape = eaten(rig)
    hub.link.weather.answer_lost = 1.0
    with pytest.raises(HubUnavailableError):
        rig.post(tape.batch(rig.key))
    hub.link.weather.answer_lost, hub.link.weather.cut = 0.0, 1.0
    with pytest.raises(HubUnavailableError):
        rig.post(tape.batch(rig.key))
    hub.link.weather.cut = 0.0
    rig.taken(tape.batch(rig.key), tape, 9, new=0)


def test_an_old_backup_that_was_put_back_asks_for_what_is_missing(fresh):
    hub, rig = fresh
    tape = eaten(rig)
    rig.taken(tape.batch(rig.key, 1, 3), tape, 3)
    hub.backup()
    rig.taken(tape.batch(rig.key, 4, 9), tape, 9)
    later = tape.reopened()
    later.meal(rig.pupil())
    rig.taken(later.batch(rig.key), later, 3)
    hub.restore()
    assert rig.line(later) is None
    later.meal(rig.pupil())
    assert rig.refused(later.batch(rig.key, 4), 409, "gap")["sequence"] == 0
    assert rig.refused(later.batch(rig.key), 409, "gap")["sequence"] == 3
    rig.taken(tape.batch(rig.key, 1), tape, 9, new=6)
    rig.taken(later.batch(rig.key), later, 5, new=5)


def test_what_was_kept_is_there_after_a_restart(tmp_path):
    with VirtualHub(tmp_path) as hub:
        rig, key = HubRig(hub.url, SCHOOL), hub.key
        tape = eaten(rig)
        rig.taken(tape.batch(rig.key, 1, 5), tape, 5)
    with VirtualHub(tmp_path) as hub:
        again = HubRig(hub.url, SCHOOL, key=rig.key)
        assert hub.key == key
        again.taken(tape.batch(rig.key), tape, 9, new=4)
    assert (tmp_path / "hub.key").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(("fault", "status"), [("errors", {500, 503}), ("portal", {200})])
def test_faults_that_are_answers(fresh, fault, status):
    hub, rig = fresh
    hub.set_faults(fault)
    answers = [rig.post(eaten(rig).batch(rig.key)) for _ in range(3)]
    assert {answer.status for answer in answers} == status
    assert not hub.store.lines(SCHOOL)


def test_another_key_than_its_own_is_found(fresh):
    hub, rig = fresh
    key = hub.key
    hub.set_faults("other-key")
    tape = eaten(rig)
    rig.hub_key = lambda: key  # type: ignore[method-assign]
    with pytest.raises(CheckFailed, match="not signed with the hub's key"):
        rig.taken(tape.batch(rig.key), tape, 9)


def test_schools_that_nobody_enrolled_are_refused_where_that_is_wanted(tmp_path):
    with VirtualHub(tmp_path, trust_first=False) as hub:
        rig = HubRig(hub.url, SCHOOL)
        tape = eaten(rig)
        rig.refused(tape.batch(rig.key), 403, "unknown-school")
        key = rig.key.public_key().public_bytes_raw().hex()
        assert rig.ask("PUT", f"/schools/{SCHOOL}/key", key.encode()).status == 204
        rig.taken(tape.batch(rig.key), tape, 9)


def test_a_hub_is_open_to_others_only_with_tls_and_a_token(tmp_path):
    with pytest.raises(UsageError, match="only with TLS and a token"):
        VirtualHub(tmp_path, host="0.0.0.0")
    with pytest.raises(UsageError, match="only with TLS and a token"):
        VirtualHub(tmp_path, host="0.0.0.0", token="secret")


def test_with_tls_and_a_token(tmp_path):
    from edusense.sim.ops_centre.certificates import make_certificate

    ca, certificate, private_key = make_certificate(tmp_path, "127.0.0.1")
    with VirtualHub(tmp_path, certificate=certificate, private_key=private_key, token="a secret") as hub:
        rig = HubRig(hub.url, SCHOOL, token="a secret", ca=ca)
        tape = eaten(rig)
        rig.taken(tape.batch(rig.key), tape, 9)
        for token in (None, "another"):
            rig.token = token
            assert rig.post(tape.batch(rig.key)).status == 401


def test_a_page_of_a_foreign_name_gets_nothing(hub, rig):
    answer = rig.ask("GET", "/", headers={"Host": "hub.attacker.example"})
    assert answer.status == 421


def test_a_change_of_key_that_a_branch_tells_of_counts_for_nothing(fresh):
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from edusense.meals.hub_contract.plain import KEY_CHANGE, key_halves

    _, rig = fresh
    tape = eaten(rig)
    rig.taken(tape.batch(rig.key), tape, 9)
    anew, new = rig.tape(), Ed25519PrivateKey.generate()
    anew.terminal = tape.terminal
    low, high = key_halves(new)
    anew.write(KEY_CHANGE, pupil=low, card=high)
    rig.taken(anew.batch(rig.key), anew, 2)
    anew.meal(rig.pupil())
    rig.refused(anew.batch(new, 3), 403, "other-key")


def test_the_same_bytes_compressed_are_the_same_batch(rig):
    tape = eaten(rig)
    rig.taken(tape.batch(rig.key), tape, 9, new=9)
    answer = rig.post(gzip.compress(tape.batch(rig.key)), {"Content-Encoding": "gzip"})
    assert answer.told["new"] == 0
