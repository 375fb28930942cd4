"""The destinations that edusense brings, held to the contract that every destination keeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from edusense.alerts import Settings
from edusense.alerts.contract import PASSWORD, DestinationContract
from edusense.alerts.https_json import HttpsJson
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
