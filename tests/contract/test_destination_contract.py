"""The destinations that edusense brings, held to the contract that every destination keeps."""

from __future__ import annotations

import email
import email.policy
import json
import socket
from email.message import EmailMessage
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from tests.mqtt_broker import Broker, Topics

from edusense.alerts import Settings
from edusense.alerts.command import Command
from edusense.alerts.contract import PASSWORD, DestinationContract
from edusense.alerts.https_json import HttpsJson
from edusense.alerts.mqtt import Mqtt
from edusense.alerts.smtp import Smtp
from edusense.sim.ops_centre import VirtualOpsCentre


class CentreRig:
    """The simulated operations centre."""

    destination = HttpsJson

    def __init__(self) -> None:
        self.centre = VirtualOpsCentre(secret=PASSWORD).start()

    def settings(self) -> Settings:
        return Settings(
            id="centre",
            school={"id": "school-51", "number": 51001},
            url=self.centre.url,
            user=self.centre.user,
            password=PASSWORD,
            ca=self.centre.ca,
        )

    def messages(self) -> list[dict]:
        return self.centre.store.messages()

    def files(self) -> dict[str, bytes]:
        found = {}
        for case in self.centre.store.cases():
            for name in ("still", "clip"):
                file = self.centre.store.file(case["case"], name)
                if file is not None:
                    found[f"{case['case']}/{name}"] = Path(file[0]).read_bytes()
        return found

    def heartbeats(self) -> list[dict]:
        return self.centre.store.schools()

    def go_down(self) -> None:
        self.centre.set_faults("down")

    def come_back(self) -> None:
        self.centre.set_faults()


class TestHttpsJson(DestinationContract):
    @pytest.fixture
    def rig(self):
        rig = CentreRig()
        yield rig
        rig.centre.stop()


class CommandRig:
    """A program that keeps what it gets in a folder, and that can be taken away."""

    destination = Command

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.program = folder / "keep"
        self.program.write_text(
            "#!/bin/sh\n"
            f"test -e {folder}/down && {{ echo 'the line is cut' >&2; exit 75; }}\n"
            f"cat >> {folder}/messages\n"
        )
        self.program.chmod(0o755)

    def settings(self) -> Settings:
        return Settings(
            id="bell", school={"id": "school-51", "number": 51001}, options={"command": f"{self.program} --loud"}
        )

    def messages(self) -> list[dict]:
        path = self.folder / "messages"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def files(self) -> dict[str, bytes]:
        return {}

    def heartbeats(self) -> list[dict]:
        return []

    def go_down(self) -> None:
        (self.folder / "down").touch()

    def come_back(self) -> None:
        (self.folder / "down").unlink()


class TestCommand(DestinationContract):
    @pytest.fixture
    def rig(self, tmp_path: Path):
        return CommandRig(tmp_path)


class MailRig:
    """A real mail server, aiosmtpd, that keeps letters."""

    destination = Smtp

    def __init__(self) -> None:
        self.letters: list[EmailMessage] = []
        self.verdict: dict[str, str] = {}
        self.port = 0
        self.start()

    def start(self) -> None:
        self.controller = Controller(
            self, hostname="127.0.0.1", port=self.port, auth_require_tls=False, authenticator=self.authenticate
        )
        if not self.port:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                self.port = self.controller.port = free.getsockname()[1]
        self.controller.start()

    def authenticate(self, _server, _session, _envelope, _mechanism, data) -> AuthResult:
        return AuthResult(success=data.password.decode() == PASSWORD, handled=False)

    async def handle_RCPT(self, _server, _session, envelope, address, _options):  # noqa: N802 - aiosmtpd's name
        if address in self.verdict:
            return self.verdict[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802 - aiosmtpd's name
        if "data" in self.verdict:
            return self.verdict["data"]
        self.letters.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return "250 OK"

    def settings(self, **options) -> Settings:
        return Settings(
            id="letters",
            school={"id": "school-51", "number": 51001},
            url=f"smtp://127.0.0.1:{self.port}",
            user="edusense",
            password=PASSWORD,
            options={"to": "guard@school-51.kz, director@school-51.kz", "from": "edusense@school-51.kz"} | options,
        )

    def messages(self) -> list[dict]:
        found = []
        for letter in self.letters:
            (part,) = [one for one in letter.iter_attachments() if one.get_filename() == "message.json"]
            found.append(json.loads(part.get_content()))
        return found

    def files(self) -> dict[str, bytes]:
        return {}

    def heartbeats(self) -> list[dict]:
        return []

    def go_down(self) -> None:
        self.controller.stop()

    def come_back(self) -> None:
        self.start()


@pytest.fixture
def mail():
    rig = MailRig()
    yield rig
    rig.controller.stop()


class TestSmtp(DestinationContract):
    @pytest.fixture
    def rig(self, mail):
        return mail


class MqttRig(Topics):
    """A broker of the tests' own; the real one is asked in tests/peers."""

    destination = Mqtt

    def __init__(self, newest: int) -> None:
        self.broker = Broker(password=PASSWORD, newest=newest)

    def settings(self) -> Settings:
        school = {"id": "school-51", "number": 51001}
        return Settings(id="broker", school=school, url=self.broker.url, user="edusense", password=PASSWORD)

    def told(self) -> list[tuple[str, bytes]]:
        return [(one.topic, one.payload) for one in self.broker.published]

    def go_down(self) -> None:
        self.broker.close()

    def come_back(self) -> None:
        self.broker.listen()


class TestMqtt(DestinationContract):
    @pytest.fixture(params=[5, 4], ids=["5.0", "3.1.1"])
    def rig(self, request):
        rig = MqttRig(request.param)
        yield rig
        rig.broker.close()
