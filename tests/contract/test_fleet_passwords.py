"""Passwords are changed so that nobody is locked out, whatever a camera answers and whenever it breaks off."""

from __future__ import annotations

import contextlib
import json

import pytest

from edusense import Site, fleet
from edusense.errors import SiteSecretError, UsageError
from edusense.fleet import passwords
from edusense.fleet.passwords import ALPHABET, SealedJournal, new_password
from edusense.sim.makes import MAKES
from edusense.sim.onvif_server import Identity, OnvifServer, Profile
from edusense.sim.onvif_state import User
from edusense_drivers.onvif import session
from edusense_drivers.onvif.policies import PasswordPolicy

MAIN = Profile("p1", "mainStream", 1920, 1080, 25, 4000, "H264", "rtsp://127.0.0.1:8554/main")
OLD, NEW, KEY = "old-Secret-1", "new-Secret-2", "the key of this school"
HEAD = """# by hand
[site]
id = "school"
number = 1
data = "data"
[fleet]
key = "env:TEST_KEY"
[credentials.cameras]
user = "edusense"
password = "env:TEST_OLD"
[credentials.cameras-2]
user = "{user}"
password = "env:TEST_NEW"
[[rooms]]
id = "205"
kind = "classroom"
"""


@contextlib.contextmanager
def school(tmp_path, monkeypatch, *faults, user="edusense", make=None, old=OLD, before=None):
    session._remembered.clear()
    for name, value in (("TEST_OLD", old), ("TEST_NEW", NEW), ("TEST_KEY", KEY)):
        monkeypatch.setenv(name, value)
    with contextlib.ExitStack() as stack:
        text, servers = HEAD.format(user=user), []
        for index, names in enumerate(faults):
            who = Identity(mac=f"02:ed:00:00:09:{index:02x}")
            if make:
                names = [*MAKES[make].faults, *names]
                who = Identity(mac=who.mac, manufacturer=MAKES[make].manufacturer, model=MAKES[make].model)
            server = stack.enter_context(OnvifServer(who, [MAIN], "edusense", OLD, faults=names, reboot_s=0.2))
            if before:
                before(server)
            servers.append(server)
            text += (
                f'[[cameras]]\nid = "c{index}"\nroom = "205"\naddress = "127.0.0.1:{server.port}"\n'
                'credentials = "cameras"   # as from the factory\n'
            )
        (tmp_path / "school.toml").write_text(text)
        yield Site.load(tmp_path / "school.toml"), servers


def tables(tmp_path):
    return [camera.credentials for camera in Site.load(tmp_path / "school.toml").cameras]


def test_a_password_is_changed_and_the_site_file_says_so(tmp_path, monkeypatch):
    with school(tmp_path, monkeypatch, [], []) as (site, servers):
        seen = []
        done = fleet.rotate_passwords(site, ["*"], "cameras-2", on_changed=lambda camera: seen.append(camera.id))
        assert [one.outcome for one in done] == ["changed", "changed"]
        assert sorted(seen) == ["c0", "c1"]
        assert all(server.state.users["edusense"].password == NEW for server in servers)
        assert all(server.state.users["edusense"].level == "Administrator" for server in servers)
        assert not any(server.login_failures for server in servers)
        assert tables(tmp_path) == ["cameras-2", "cameras-2"]
        text = (tmp_path / "school.toml").read_text()
        assert text.startswith("# by hand")
        assert text.count("# as from the factory") == 2
        again = fleet.rotate_passwords(Site.load(tmp_path / "school.toml"), ["*"], "cameras-2")
        assert [one.outcome for one in again] == ["unchanged", "unchanged"]
        for place in (tmp_path / "data").rglob("*"):
            if place.is_file():
                assert place.stat().st_mode & 0o077 == 0
                for secret in (OLD, NEW, KEY):
                    assert secret not in place.read_text()


@pytest.mark.parametrize(
    ("faults", "outcome", "says"),
    [
        (["ignores-users"], "accepted-but-not-applied", "answers to the old password alone"),
        (["ignores-users", "lets-anyone-read"], "accepted-but-not-applied", "answers to the old password alone"),
        (["ignores-sets"], "accepted-but-not-applied", "answers to the old password alone"),
        (["refuses-sets"], "refused", "not supported"),
        (["refuses-setuser"], "refused", "not supported"),
        (["no-users"], None, "does not tell its users"),
        (["few-rights"], None, "does not let user `edusense` ask GetUsers"),
        (["refuse-auth"], None, "refuses user"),
        (["silent"], None, "did not answer"),
        (["needs-activation"], None, "must be activated first"),
    ],
)
def test_a_camera_that_does_not_do_it_is_found_out_and_keeps_its_table(tmp_path, monkeypatch, faults, outcome, says):
    with school(tmp_path, monkeypatch, faults) as (site, (server,)):
        (done,) = fleet.rotate_passwords(site, ["c0"], "cameras-2", visit_s=3.0)
        assert done.outcome == outcome
        assert says in done.note
        assert server.state.users["edusense"].password == OLD
        assert tables(tmp_path) == ["cameras"]
        assert server.login_failures <= 1
        for secret in (OLD, NEW, KEY):
            assert secret not in json.dumps(done.to_json())


def test_a_pending_change_can_be_made(tmp_path, monkeypatch):
    with school(tmp_path, monkeypatch, ["password-change-pending"]) as (site, (server,)):
        (done,) = fleet.rotate_passwords(site, ["c0"], "cameras-2")
        assert done.outcome == "changed"
        assert server.state.users["edusense"].password == NEW


def test_a_camera_that_lets_everybody_in_proves_nothing(tmp_path, monkeypatch):
    def open_it(server):
        server.password = None
        server._guard._passwords = None

    with school(tmp_path, monkeypatch, [], before=open_it) as (site, _):
        (done,) = fleet.rotate_passwords(site, ["c0"], "cameras-2")
        assert done.outcome is None
        assert "tells its users to everybody" in done.note


def test_from_the_factorys_user_to_the_schools(tmp_path, monkeypatch):
    def made_by_onvif(server):
        server.state.users = {"edusense": User(OLD, made_here=False)}

    cases = (
        (False, None, ["edusense", "fleet"]),
        (True, None, ["edusense", "fleet"]),
        (True, made_by_onvif, ["fleet"]),
    )
    for number, (remove, before, left) in enumerate(cases):
        folder = tmp_path / str(number)
        folder.mkdir()
        with school(folder, monkeypatch, [], user="fleet", before=before) as (site, (server,)):
            (done,) = fleet.rotate_passwords(site, ["c0"], "cameras-2", remove_old=remove)
            assert done.outcome == "changed"
            assert list(server.state.users) == left
            assert server.state.users["fleet"].level == "Administrator"
            # Who was made in its web pages stays, and that is told.
            assert ("still there" in (done.note or "")) == (remove and before is None)


def test_a_password_that_the_camera_will_not_take_is_not_sent(tmp_path, monkeypatch):
    with school(tmp_path, monkeypatch, [], make="dahua") as (site, (server,)):
        monkeypatch.setenv("TEST_NEW", "it's; bad")
        (done,) = fleet.rotate_passwords(site, ["c0"], "cameras-2")
        assert done.outcome == "refused"
        assert "will not do" in done.note
        assert server.state.sets == []


def test_users_that_only_an_app_can_change_are_left_to_it(tmp_path, monkeypatch):
    with school(tmp_path, monkeypatch, [], make="tapo") as (site, (server,)):
        (done,) = fleet.rotate_passwords(site, ["c0"], "cameras-2")
        assert (done.outcome, server.state.sets) == ("refused", [])
        assert "its maker's own program" in done.note


def test_broken_off_after_the_set_it_goes_on(tmp_path, monkeypatch):
    with school(tmp_path, monkeypatch, []) as (site, (server,)):
        real = passwords._Rotation._refusal

        def stops(self, credentials):
            raise KeyboardInterrupt

        monkeypatch.setattr(passwords._Rotation, "_refusal", stops)
        with pytest.raises(KeyboardInterrupt):
            fleet.rotate_passwords(site, ["c0"], "cameras-2")
        monkeypatch.setattr(passwords._Rotation, "_refusal", real)
        assert server.state.users["edusense"].password == NEW
        assert tables(tmp_path) == ["cameras"]
        with SealedJournal(tmp_path / "data/fleet/passwords.jsonl", KEY) as journal:
            last = journal.last("c0")
            assert (last["state"], last["old"], last["new"]) == ("begin", ["edusense", OLD], ["edusense", NEW])
        (done,) = fleet.rotate_passwords(site, ["c0"], "cameras-2")
        assert (done.outcome, done.note) == ("changed", "set by an earlier run that was broken off")
        assert server.login_failures == 0
        assert tables(tmp_path) == ["cameras-2"]


def test_broken_off_before_the_set_it_is_found_out_in_one_wrong_login(tmp_path, monkeypatch):
    with school(tmp_path, monkeypatch, []) as (site, (server,)):
        with SealedJournal(tmp_path / "data/fleet/passwords.jsonl", KEY) as journal:
            journal.say("c0", "begin", to="cameras-2", old=["edusense", OLD], new=["edusense", NEW])
        (first,) = fleet.rotate_passwords(site, ["c0"], "cameras-2")
        assert first.outcome == "accepted-but-not-applied"
        assert server.login_failures == 1
        (second,) = fleet.rotate_passwords(site, ["c0"], "cameras-2")
        assert second.outcome == "changed"


def test_neither_password_holds(tmp_path, monkeypatch):
    with school(tmp_path, monkeypatch, []) as (site, (server,)):
        real = server._guard._passwords
        server.on_users = lambda: setattr(server._guard, "_passwords", lambda: {"edusense": "something else"})
        (done,) = fleet.rotate_passwords(site, ["c0"], "cameras-2")
        assert done.outcome == "unreachable-after"
        assert "the journal holds both" in done.note
        assert real() == {"edusense": NEW}


def test_the_journal_opens_with_its_key_alone(tmp_path):
    path = tmp_path / "passwords.jsonl"
    with SealedJournal(path, KEY) as journal:
        journal.say("c0", "begin", old=["a", OLD])
        journal.say("c1", "changed")
    assert OLD not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    with path.open("a") as file:
        file.write('{"camera": "c0", "sealed": "AAA')  # torn
    with SealedJournal(path, KEY) as journal:
        assert [entry["state"] for entry in journal.entries] == ["begin", "changed"]
        journal.say("c2", "begin")
    with SealedJournal(path, KEY) as journal:
        assert journal.last("c2")["state"] == "begin"
    with pytest.raises(UsageError, match="another key") as caught:
        SealedJournal(path, "wrong key")
    assert KEY not in str(caught.value)
    # An entry belongs to its camera: moved to another, it does not open.
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[1].replace('"c0"', '"c9"')]) + "\n")
    with pytest.raises(UsageError, match="another key"):
        SealedJournal(path, KEY)
    path.write_text("nonsense\n")
    with pytest.raises(UsageError, match="no journal"):
        SealedJournal(path, KEY)


def test_what_is_missing_is_named_before_anything_is_done(tmp_path, monkeypatch):
    with school(tmp_path, monkeypatch, []) as (site, (server,)):
        with pytest.raises(UsageError, match=r"no \[credentials.none\]"):
            fleet.rotate_passwords(site, ["c0"], "none")
        with pytest.raises(UsageError, match="no camera fits"):
            fleet.rotate_passwords(site, ["x*"], "cameras-2")
        monkeypatch.delenv("TEST_NEW")
        with pytest.raises(SiteSecretError):
            fleet.rotate_passwords(site, ["c0"], "cameras-2")
        monkeypatch.setenv("TEST_NEW", NEW)
        without = Site.loads(
            (tmp_path / "school.toml").read_text().replace('[fleet]\nkey = "env:TEST_KEY"\n', ""), path=site.path
        )
        with pytest.raises(SiteSecretError, match="names no `key`") as caught:
            fleet.rotate_passwords(without, ["c0"], "cameras-2")
        assert "umask 077" in caught.value.hint
        assert server.requests == 0


def test_made_passwords_are_taken_by_every_make():
    strictest = PasswordPolicy(8, 32, "'\";:&/ @#?%")
    made = {new_password() for _ in range(200)}
    assert len(made) == 200
    for one in made:
        assert strictest.problem(one) is None
        assert len(one) == 20
        assert set(one) <= set(ALPHABET)
        assert any(c.isupper() for c in one)
        assert any(c.islower() for c in one)
        assert any(c.isdigit() for c in one)
