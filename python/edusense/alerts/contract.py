"""The promises of a destination as tests: subclass them with a rig, and a new one is held to what all are held to.

```python
from edusense.alerts.contract import DestinationContract

class TestMyDestination(DestinationContract):
    @pytest.fixture
    def rig(self, tmp_path):
        with MyRig(tmp_path) as rig:      # a server of your own, or a stand-in that speaks the real protocol
            yield rig
```

What a class says of itself (`ATTACHMENTS`, `HEARTBEATS`) decides which tests there are. pytest is needed here and
nowhere else in `edusense.alerts`.
"""

# ruff: noqa: D102 -- a test's name says what it proves

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING, Any, Final, Protocol

import pytest

from edusense.alerts.outbox import Attachment
from edusense.alerts.registry import make_destination
from edusense.errors import DestinationUnavailableError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from edusense.alerts.destination import Destination, Settings

__all__ = ["DestinationContract", "DestinationRig", "message"]

PASSWORD: Final = "contract-S3cret-éü"  # noqa: S105 - of a rig


class DestinationRig(Protocol):
    """A far end and the world around it, as the tests need them."""

    destination: type[Destination]
    """The class that is held to its promises."""

    def settings(self) -> Settings:
        """What it is made of here; with `contract.PASSWORD` where it takes a password."""
        ...

    def messages(self) -> list[Mapping[str, Any]]:
        """What has arrived at the far end, in order; what came twice may stand there twice."""
        ...

    def files(self) -> dict[str, bytes]:
        """Stills and clips that have arrived whole, by the case's id, a slash and `still` or `clip`."""
        ...

    def heartbeats(self) -> list[Mapping[str, Any]]:
        """Heartbeats that have arrived, the newest last; earlier ones may be missing."""
        ...

    def go_down(self) -> None:
        """The far end cannot be reached any more."""
        ...

    def come_back(self) -> None:
        """It can be reached again, and has what it had."""
        ...


def message(case: str = "attic-door-1", sequence: int = 1, **more: Any) -> dict[str, Any]:
    """A message as the outbox sends it.

    Args:
        case: the case's id.
        sequence: the message's number in it.
        more: other keys, or other values.

    >>> message(sequence=2)["key"]
    'attic-door-1/2'
    """
    return {
        "format": 1,
        "type": "alert" if sequence == 1 else "update",
        "key": f"{case}/{sequence}",
        "case": case,
        "sequence": sequence,
        "status": "actual",
        "school": {"id": "school-51", "number": 51001},
        "finding": "forbidden-entry",
        "severity": "severe",
        "confidence": 0.9,
        "start_s": 1_790_000_000.0,
        "clock_error_s": 0.5,
        "place": {"camera": "stairs-3", "zone": "attic-door", "room": {"id": "attic", "name": "Шатыр"}},
        "text": "Біреу шатырға кірді; кто-то вошёл на чердак; somebody went up",
        "state": "new",
        **({} if sequence == 1 else {"what": "graver", "at_s": 1_790_000_100.0, "count": 2}),
    } | more


class DestinationContract:
    """What every destination keeps. Subclass it and give it a fixture `rig`."""

    @pytest.fixture
    def rig(self) -> DestinationRig:
        raise NotImplementedError("give the test class a fixture `rig`")

    @pytest.fixture
    def made(self, rig: DestinationRig) -> Iterator[Destination]:
        destination = make_destination(rig.destination, rig.settings())
        try:
            yield destination
        finally:
            destination.close()
            destination.close()  # twice is harmless

    def test_what_send_returned_from_is_there_with_its_key(self, rig: DestinationRig, made: Destination) -> None:
        sent = [message(sequence=number) for number in (1, 2)]
        for one in sent:
            made.send(one)
        there = {one["key"]: one for one in rig.messages()}
        assert list(there) == [one["key"] for one in sent]
        for one in sent:
            assert there[one["key"]]["case"] == one["case"]
            assert there[one["key"]]["text"] == one["text"]

    def test_what_is_sent_again_is_told_to_be_the_same(self, rig: DestinationRig, made: Destination) -> None:
        for _ in range(3):
            made.send(message())
        assert {one["key"] for one in rig.messages()} == {message()["key"]}

    def test_a_far_end_that_is_down_is_unavailable_and_nothing_is_kept(
        self, rig: DestinationRig, made: Destination
    ) -> None:
        made.send(message())
        rig.go_down()
        for _ in range(2):
            with pytest.raises(DestinationUnavailableError) as raised:
                made.send(message(sequence=2))
            assert PASSWORD not in str(raised.value)
        rig.come_back()
        made.send(message(sequence=3))
        keys = [one["key"] for one in rig.messages()]
        assert keys[-1] == message(sequence=3)["key"]
        assert message(sequence=2)["key"] not in keys, "what was told to have failed must not arrive later by itself"

    def test_another_object_goes_on_where_one_was_closed(self, rig: DestinationRig) -> None:
        for number in (1, 2):
            destination = make_destination(rig.destination, rig.settings())
            destination.send(message(sequence=number))
            destination.interrupt()
            destination.close()
        assert {one["sequence"] for one in rig.messages()} == {1, 2}

    def test_its_password_is_not_shown(self, rig: DestinationRig, made: Destination) -> None:
        assert PASSWORD not in repr(made)
        assert PASSWORD not in repr(made.settings)

    def test_an_option_that_it_has_not_is_refused_by_name(self, rig: DestinationRig) -> None:
        import dataclasses

        settings = rig.settings()
        wrong = dataclasses.replace(settings, options={**settings.options, "no-such-option": 1})
        with pytest.raises(UsageError, match="no-such-option"):
            make_destination(rig.destination, wrong)

    def test_stills_and_clips_arrive_whole(self, rig: DestinationRig, made: Destination, tmp_path: Path) -> None:
        if not rig.destination.ATTACHMENTS:
            pytest.skip("it takes none")
        made.send(message())
        for name in rig.destination.ATTACHMENTS:
            content = name.encode() + bytes(range(256)) * (64 if name == "still" else 4_000)
            path = tmp_path / f"{name}.bin"
            path.write_bytes(content)
            attachment = Attachment(
                case=message()["case"],
                name=name,
                path=path,
                media_type="image/jpeg" if name == "still" else "video/mp4",
                size=len(content),
                sha256=hashlib.sha256(content).hexdigest(),
            )
            for _ in range(2):  # also where its answer was lost
                made.attach(attachment, threading.Event())
            assert rig.files()[attachment.key] == content

    def test_the_newest_heartbeat_arrives(self, rig: DestinationRig, made: Destination) -> None:
        if not rig.destination.HEARTBEATS:
            pytest.skip("it takes none")
        for number in (1, 2):
            made.heartbeat({"format": 1, "type": "heartbeat", "key": f"beat-{number}", "school": {"id": "school-51"}})
        assert rig.heartbeats()[-1]["key"] == "beat-2"
