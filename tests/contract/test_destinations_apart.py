"""What each destination does that others do not: exit statuses, letters, brokers that refuse, tables that cannot be."""

from __future__ import annotations

import dataclasses
import email.header
import hashlib
import os
import socket
import threading
import time
from pathlib import Path

import pytest
from tests.contract.test_destination_contract import MailRig, MqttRig

from edusense.alerts import Attachment, Settings
from edusense.alerts import smtp as smtp_module
from edusense.alerts.command import Command
from edusense.alerts.contract import message
from edusense.alerts.https_json import HttpsJson
from edusense.alerts.letters import body_of, subject_of
from edusense.alerts.messages import silence
from edusense.alerts.mqtt import Mqtt, onvif_event
from edusense.alerts.registry import make_destination
from edusense.alerts.smtp import Smtp
from edusense.errors import DestinationRefusedError, DestinationUnavailableError, MessageRefusedError

SCHOOL = {"id": "school-51", "number": 51001}


def still(folder: Path) -> Attachment:
    path = folder / "still.jpg"
    path.write_bytes(b"\xff\xd8picture")
    return Attachment("attic-door-1", "still", path, "image/jpeg", 9, hashlib.sha256(b"\xff\xd8picture").hexdigest())


# A program of the school's own.


def command(script: str, folder: Path, **options) -> Command:
    program = folder / "program"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    made = make_destination(Command, Settings("bell", SCHOOL, options={"command": str(program)} | options))
    assert isinstance(made, Command)
    return made


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (65, MessageRefusedError),
        (75, DestinationUnavailableError),
        (1, DestinationUnavailableError),
        (126, DestinationRefusedError),
        (127, DestinationRefusedError),
    ],
)
def test_an_exit_status_says_what_became_of_it(tmp_path, status, error):
    with pytest.raises(error, match=f"ended with {status}: what went wrong"):
        command(f"echo 'first line' >&2; echo 'what went wrong' >&2; exit {status}", tmp_path).send(message())


def test_a_program_knows_the_case_and_where_the_still_is_and_no_shell_reads_its_arguments(tmp_path):
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\necho "$1|$EDUSENSE_CASE|$EDUSENSE_KEY|$EDUSENSE_STILL" > {tmp_path}/told\n')
    program.chmod(0o755)
    options = {"command": f"{program} '$(touch {tmp_path}/evil); a b'"}
    made = make_destination(Command, Settings("bell", SCHOOL, options=options))
    picture = still(tmp_path)
    made.send(message(), picture)
    told = (tmp_path / "told").read_text().strip()
    assert told == f"$(touch {tmp_path}/evil); a b|attic-door-1|attic-door-1/1|{picture.path}"
    assert not (tmp_path / "evil").exists()


def test_a_program_that_hangs_is_killed_with_its_children(tmp_path):
    made = command(f"sleep 600 & echo $! > {tmp_path}/child; wait", tmp_path, within_s=0.5)
    with pytest.raises(DestinationUnavailableError, match="did not end within"):
        made.send(message())
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 10
    while Path(f"/proc/{child}").exists() and "Z" not in Path(f"/proc/{child}/stat").read_text().split()[2]:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_a_program_leaves_running_holds_up_nothing(tmp_path):
    began = time.monotonic()
    command(f"sleep 60 & echo $! > {tmp_path}/child; exit 0", tmp_path).send(message())
    assert time.monotonic() - began < 30
    os.kill(int((tmp_path / "child").read_text()), 9)


def test_a_program_that_says_a_gigabyte_fills_no_memory_and_its_last_line_is_cleaned(tmp_path):
    made = command("head -c 3000000 /dev/zero >&2; printf '\\n\\033[31mred\\n' >&2; exit 1", tmp_path)
    with pytest.raises(DestinationUnavailableError) as raised:
        made.send(message())
    assert str(raised.value).endswith("\N{REPLACEMENT CHARACTER}[31mred")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "needs a command"),
        ({"command": "'unfinished"}, "cannot be read"),
        ({"command": "true", "within_s": "soon"}, "within_s"),
        ({"command": "true", "within_s": 0}, "within_s"),
    ],
)
def test_a_command_that_cannot_be_is_refused_when_it_is_made(options, said):
    with pytest.raises(DestinationRefusedError, match=said):
        make_destination(Command, Settings("bell", SCHOOL, options=options))


def test_a_program_that_is_not_there_is_refused(tmp_path):
    made = make_destination(Command, Settings("bell", SCHOOL, options={"command": "/nowhere/bell"}))
    with pytest.raises(DestinationRefusedError, match="no program `/nowhere/bell`"):
        made.send(message())


# Letters.


@pytest.fixture
def mail():
    rig = MailRig()
    yield rig
    rig.controller.stop()


def test_letters_of_a_case_are_one_thread_and_the_first_carries_the_still(mail, tmp_path):
    made = make_destination(Smtp, mail.settings())
    made.send(message(), still(tmp_path))
    made.send(message(sequence=2, what="answer", answer="taken", by="ЦОУ, Оспанов"))
    made.send(message())  # its answer was lost
    first, second, again = mail.letters
    assert first["Message-ID"] == again["Message-ID"] != second["Message-ID"]
    assert second["In-Reply-To"] == first["Message-ID"]
    assert first["To"] == "guard@school-51.kz, director@school-51.kz"
    assert str(email.header.make_header(email.header.decode_header(first["Subject"]))) == (
        "edusense: Вход в запретную зону, Шатыр"
    )
    names = [part.get_filename() for part in first.iter_attachments()]
    assert names == ["message.json", "still.jpg"]
    assert list(first.iter_attachments())[1].get_content() == b"\xff\xd8picture"
    body = second.get_body().get_content()
    assert "ЦОУ, Оспанов: принял(а)" in body


def test_a_case_that_goes_on_is_no_letter_a_minute(mail):
    make_destination(Smtp, mail.settings()).send(message(sequence=2, what="again"))
    assert mail.letters == []


@pytest.mark.parametrize(
    ("verdict", "error"),
    [
        ({"guard@school-51.kz": "550 no such user", "director@school-51.kz": "550 no"}, DestinationRefusedError),
        ({"guard@school-51.kz": "450 later", "director@school-51.kz": "450 later"}, DestinationUnavailableError),
        ({"data": "552 too much"}, MessageRefusedError),
        ({"data": "451 later"}, DestinationUnavailableError),
        ({"data": "550 not from you"}, DestinationRefusedError),
    ],
)
def test_what_a_mail_server_says_is_taken_for_what_it_is(mail, verdict, error):
    mail.verdict = verdict
    with pytest.raises(error):
        make_destination(Smtp, mail.settings()).send(message())
    assert mail.letters == []


def test_one_who_gets_it_is_enough_and_the_other_is_said_once(mail, caplog):
    mail.verdict = {"director@school-51.kz": "550 no such user"}
    made = make_destination(Smtp, mail.settings())
    for number in (1, 2):
        made.send(message(sequence=number))
    assert len(mail.letters) == 2
    assert caplog.text.count("director@school-51.kz is refused with 550") == 1


def test_a_wrong_password_is_refused(mail):
    settings = dataclasses.replace(mail.settings(), password="wrong-one")
    with pytest.raises(DestinationRefusedError, match="user and password") as raised:
        make_destination(Smtp, settings).send(message())
    assert "wrong-one" not in str(raised.value)


def test_a_letter_about_children_does_not_go_in_clear_beyond_this_machine(mail, monkeypatch):
    monkeypatch.setattr(smtp_module, "is_loopback", lambda _: False)
    with pytest.raises(DestinationRefusedError, match="offers no encryption"):
        make_destination(Smtp, mail.settings()).send(message())
    assert mail.letters == []


def test_a_mail_server_that_drips_is_left_after_its_time(monkeypatch):
    monkeypatch.setattr(smtp_module, "WITHIN_S", 0.6)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        def drip() -> None:
            connection, _ = listening.accept()
            with connection:
                try:
                    while True:
                        connection.sendall(b"2")
                        time.sleep(0.1)
                except OSError:
                    return

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        options = {"to": "a@b.kz", "from": "c@d.kz"}
        made = make_destination(Smtp, Settings("letters", SCHOOL, url=f"smtp://127.0.0.1:{port}", options=options))
        with pytest.raises(DestinationUnavailableError):
            made.send(message())
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.parametrize("to", ["", "guard", "guard@a.kz, two words@b.kz", "a@b.kz\r\nBcc: x@y.kz"])
def test_addresses_that_are_none_are_refused_when_it_is_made(mail, to):
    with pytest.raises(DestinationRefusedError, match="`to`"):
        make_destination(Smtp, mail.settings(to=to))


def test_letters_say_in_three_languages_what_it_is():
    told = message(status="test", start_s=1_790_000_000.0)
    assert subject_of(told).startswith("TEST: ")
    body = body_of(told, "Asia/Almaty")
    for words in ("УЧЕБНАЯ ТРЕВОГА", "Тыйым салынған", "Вход в запретную", "Entry into a forbidden", "± 0.5 s"):
        assert words in body
    wicked = message(finding="new\r\nBcc: x@y.kz", place={"room": {"name": "a\nb"}})
    assert "\n" not in subject_of(wicked)
    quiet = silence("silences", 1, school=SCHOOL, what="begun", silence={"zone": None, "camera": "yard-1"})
    assert subject_of(quiet) == "без тревог: yard-1"
    assert "silences" in body_of(quiet, "Asia/Almaty")


# Brokers.


def test_a_broker_that_acknowledges_nothing_is_unavailable_and_gets_nothing_later(monkeypatch):
    monkeypatch.setattr("edusense.alerts.mqtt.ANSWER_S", 0.5)
    rig = MqttRig(5)
    made = make_destination(Mqtt, rig.settings())
    rig.broker.silent = True
    with pytest.raises(DestinationUnavailableError, match="did not acknowledge"):
        made.send(message())
    rig.broker.silent = False
    made.send(message(sequence=2))
    assert [one["key"] for one in rig.messages()] == ["attic-door-1/2"]
    made.close()
    rig.broker.close()


def test_a_broker_that_nobody_listens_to_has_delivered_nothing():
    rig = MqttRig(5)
    rig.broker.puback = 0x10
    made = make_destination(Mqtt, rig.settings())
    with pytest.raises(DestinationUnavailableError, match="nobody has subscribed"):
        made.send(message())
    rig.broker.puback = 0x87
    with pytest.raises(DestinationRefusedError, match="refuses"):
        made.send(message())
    made.close()
    rig.broker.close()


@pytest.mark.parametrize("newest", [4, 5])
def test_a_wrong_password_for_a_broker_is_refused(newest):
    rig = MqttRig(newest)
    made = make_destination(Mqtt, dataclasses.replace(rig.settings(), password="wrong-one"))
    with pytest.raises(DestinationRefusedError) as raised:
        made.send(message())
    assert "wrong-one" not in str(raised.value)
    rig.broker.close()


def test_what_hangs_up_is_no_broker():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=lambda: listening.accept()[0].close(), daemon=True)
        thread.start()
        url = f"mqtt://127.0.0.1:{listening.getsockname()[1]}"
        made = make_destination(Mqtt, Settings("broker", SCHOOL, url=url))
        with pytest.raises(DestinationUnavailableError):
            made.send(message())
        made.close()
        thread.join(10)


def test_a_password_does_not_go_to_another_machine_in_clear():
    settings = Settings("broker", SCHOOL, url="mqtt://mq.example.kz/school", user="x", password="y")
    with pytest.raises(DestinationRefusedError, match="in clear"):
        make_destination(Mqtt, settings)
    with pytest.raises(DestinationRefusedError, match="no prefix of topics"):
        make_destination(Mqtt, Settings("broker", SCHOOL, url="mqtts://mq.example.kz/school/#"))


def test_an_update_a_test_and_a_fire_as_onvif_events():
    assert onvif_event(message(sequence=2)) is None
    assert onvif_event(message(status="test")) is None
    topic, told = onvif_event(message(finding="fire", place={"camera": "205-front"}, rule={"name": "smoke"}))
    assert topic == "onvif-ej/RuleEngine/edusense:Finding/&205-front/edusense/smoke"
    assert told["Data"]["edusense:Finding"] == "fire"
    assert "IsInside" not in told["Data"]


# Tables that cannot be.


@pytest.mark.parametrize(
    ("cls", "given", "said"),
    [
        (HttpsJson, {}, "needs a `url`"),
        (HttpsJson, {"url": "mqtt://a.kz"}, "cannot use"),
        (Command, {"url": "https://a.kz", "options": {"command": "true"}}, "takes no `url`"),
        (Command, {"user": "x", "password": "y", "options": {"command": "true"}}, "takes no credentials"),
        (Mqtt, {"url": "https://a.kz"}, "cannot use"),
        (Smtp, {}, "needs a `url`"),
    ],
)
def test_url_and_credentials_that_a_driver_does_not_take_are_refused_by_name(cls, given, said):
    with pytest.raises(DestinationRefusedError, match=said) as raised:
        make_destination(cls, Settings("somewhere", SCHOOL, **given))
    assert "somewhere" in str(raised.value)
    assert raised.value.hint
