"""Our drivers keep the promises that we ship to other authors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edusense.devices import Card
from edusense.devices.contract import (
    ByteStreamReaderContract,
    ByteStreamRig,
    ExchangingReaderContract,
    ReaderContract,
    SignallingReaderContract,
)
from edusense.sim.external_terminal import VirtualTerminal
from edusense.sim.reader_ccid import VirtualCcid
from edusense.sim.reader_ironlogic import VirtualIronLogic
from edusense.sim.reader_keyboard import VirtualKeyboard
from edusense.sim.reader_osdp import VirtualOsdp
from edusense.sim.reader_pn532 import VirtualPn532
from edusense.sim.reader_rdm6300 import VirtualRdm6300
from edusense.sim.reader_scanner import VirtualScanner
from edusense.sim.reader_wiegand import FORMS, VirtualWiegand

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edusense.devices import Reader


class Rdm6300Rig(VirtualRdm6300):
    cards = (Card.parse("em4100:010063E9AE"), Card.parse("em4100:3C00CE754C"))


class TestRdm6300(ByteStreamReaderContract):
    @pytest.fixture
    def rig(self) -> Iterator[Rdm6300Rig]:
        with Rdm6300Rig() as rig:
            yield rig


@pytest.mark.long
class TestIdLa(ByteStreamReaderContract):
    @pytest.fixture
    def rig(self) -> Iterator[Rdm6300Rig]:
        with Rdm6300Rig(variant="id-la") as rig:
            yield rig


class BareRig(Rdm6300Rig):
    noise = bytes.fromhex("00FF8055AA030D0A7F")  # a digit would be half a number
    gap_s = 0.2

    @property
    def address(self) -> str:
        # Wider than the driver's own: two tests' pieces must not fall apart on a machine that is busy with others.
        return f"{super().address}&gap={self.gap_s}"


class TestEm18(ByteStreamReaderContract):
    """Without a frame around them, numbers are told apart by silence."""

    @pytest.fixture
    def rig(self) -> Iterator[BareRig]:
        with BareRig(variant="em-18") as rig:
            yield rig

    def test_half_a_frame_waits_for_its_rest(self, session: Reader, rig: BareRig) -> None:  # type: ignore[override]
        """Not across a silence: what comes then is another number."""
        frame = rig.frame(rig.cards[0])
        rig.send(frame[:6])
        assert session.read(timeout=2 * rig.gap_s) is None
        rig.send(frame[6:])
        assert session.read(timeout=2 * rig.gap_s) is None
        rig.send(frame)
        assert session.read(self.patience_s) == rig.cards[0]
        assert session.stats().faults == {"cut-short": 2}

    def test_half_a_frame_costs_only_itself(self, session: Reader, rig: BareRig) -> None:  # type: ignore[override]
        """Itself and what came without a silence: halves of two numbers may fit each other."""
        frame = rig.frame(rig.cards[0])
        rig.send(frame[:5] + frame)
        assert session.read(timeout=2 * rig.gap_s) is None
        rig.send(frame)
        assert session.read(self.patience_s) == rig.cards[0]
        assert session.stats().bad_frames == 1


class TestBinary(ByteStreamReaderContract):
    @pytest.fixture
    def rig(self) -> Iterator[Rdm6300Rig]:
        with Rdm6300Rig(variant="binary") as rig:
            yield rig


@pytest.mark.long
class TestBinaryMifare(ByteStreamReaderContract):
    @pytest.fixture
    def rig(self) -> Iterator[Rdm6300Rig]:
        with Rdm6300Rig(variant="binary") as rig:
            rig.cards = (Card.parse("iso14443a:0203020A"), Card.parse("iso14443a:04A1B2C3D4E5F6"))
            yield rig


class IronLogicRig(VirtualIronLogic):
    cards = (Card.parse("iso14443a:0456463AAC2280"), Card.parse("em4100:55007EE424"))


class TestIronLogic(ByteStreamReaderContract):
    @pytest.fixture
    def rig(self) -> Iterator[IronLogicRig]:
        with IronLogicRig() as rig:
            yield rig


@pytest.mark.long
class TestIronLogicOnANetwork(ByteStreamReaderContract):
    @pytest.fixture
    def rig(self) -> Iterator[IronLogicRig]:
        with IronLogicRig(network_id=19997) as rig:
            yield rig


class Pn532Rig(VirtualPn532):
    cards = (Card.parse("iso14443a:04A1B2C3D4E5F6"), Card.parse("iso14443a:9DCB4340"))

    smart = Card.parse("type-4-tag:04112233445566")

    def answer_too_long(self) -> None:
        self.model.too_long += 1


class TestPn532(ExchangingReaderContract):
    @pytest.fixture
    def rig(self) -> Iterator[Pn532Rig]:
        with Pn532Rig() as rig:
            yield rig


@pytest.mark.long
class TestPn532OfTypeB(ReaderContract):
    @pytest.fixture
    def rig(self) -> Iterator[Pn532Rig]:
        class Rig(Pn532Rig):
            cards = (Card.parse("iso14443b:1A2B3C4D"), Card.parse("iso14443b:99887766"))

            @property
            def address(self) -> str:
                return f"{super().address}?types=b"

            def place(self, card: Card) -> None:
                self.remove()  # of type B the chip finds one at a time
                super().place(card)

        with Rig() as rig:
            yield rig


@pytest.mark.long
class TestPn532OfAllTypes(ReaderContract):
    @pytest.fixture
    def rig(self) -> Iterator[Pn532Rig]:
        class Rig(Pn532Rig):
            cards = (Card.parse("felica:01120220427674EF"), Card.parse("iso14443a:9DCB4340"))

            @property
            def address(self) -> str:
                return f"{super().address}?types=abf"

        with Rig() as rig:
            yield rig


class KeyboardRig(VirtualKeyboard):
    cards = (Card.parse("em4100:010063E9AE"), Card.parse("iso14443a:04A1B2C3D4E5F6"))


class TestKeyboard(ReaderContract):
    assurance = "printed"  # a keyboard proves nothing

    @pytest.fixture
    def rig(self) -> Iterator[KeyboardRig]:
        with KeyboardRig(layout="hex") as rig:
            yield rig


class LineContract(ByteStreamReaderContract):
    """Lines without a start: a line that was cut short takes the next one with it."""

    def test_half_a_frame_costs_only_itself(self, session: Reader, rig: ByteStreamRig) -> None:
        frame = rig.frame(rig.cards[0])
        rig.send(frame[: len(frame) // 2] + frame)
        found = session.read(timeout=0.3)
        assert found not in rig.cards
        rig.send(rig.frame(rig.cards[1]))
        assert session.read(self.patience_s) == rig.cards[1]


class WiegandRig(VirtualWiegand):
    cards = (Card.parse("wiegand26:013,13067"), Card.parse("wiegand26:126,58404"))


class TestWiegand(LineContract):
    @pytest.fixture
    def rig(self) -> Iterator[WiegandRig]:
        with WiegandRig() as rig:
            yield rig


@pytest.mark.long
@pytest.mark.parametrize("form", [form for form in FORMS if form != "bits"])
class TestWiegandOtherwise(LineContract):
    @pytest.fixture
    def rig(self, form: Any) -> Iterator[WiegandRig]:
        with WiegandRig(width=34, form=form) as rig:
            rig.cards = (Card.parse("wiegand34:0063E9AE"), Card.parse("wiegand34:4043CB9D"))
            yield rig


class ScannerRig(VirtualScanner):
    cards = (Card.parse("token:EW-2026-000017"), Card.parse("token:https://example.org/?v=1"))

    @property
    def address(self) -> str:
        return f"{super().address}?silence=0.3"


class TestScanner(LineContract):
    assurance = "printed"

    @pytest.fixture
    def rig(self) -> Iterator[ScannerRig]:
        with ScannerRig(symbology=True) as rig:
            yield rig


class KeyboardScannerRig(VirtualKeyboard):
    cards = ScannerRig.cards

    @property
    def address(self) -> str:
        return f"{super().address}?silence=0.3"


class TestScannerAsKeyboard(ReaderContract):
    assurance = "printed"

    @pytest.fixture
    def rig(self) -> Iterator[KeyboardScannerRig]:
        with KeyboardScannerRig(driver="scanner") as rig:
            yield rig


class TerminalRig(VirtualTerminal):
    cards = (Card.parse("person:1017"), Card.parse("person:palm-0042"))

    @property
    def address(self) -> str:
        return f"{super().address}?silence=0.3"

    def unplug(self) -> None:
        self.hang_up()

    def replug(self) -> None: ...


class TestExternalByTcp(ReaderContract):
    assurance = "printed"
    calls_us = True

    @pytest.fixture
    def rig(self) -> Iterator[TerminalRig]:
        with TerminalRig("tcp") as rig:
            yield rig


class TestExternalByHttp(ReaderContract):
    calls_us = True

    @pytest.fixture
    def rig(self, tmp_path: Path) -> Iterator[TerminalRig]:
        key = tmp_path / "terminal.key"
        key.touch(mode=0o600)
        key.write_text("correct horse")

        class Rig(TerminalRig):
            @property
            def address(self) -> str:
                return f"{super().address}&key=file:{key}"

        with Rig("http", key="correct horse") as rig:
            yield rig


@pytest.mark.long
class TestExternalByWiegand(LineContract):
    assurance = "printed"

    @pytest.fixture
    def rig(self) -> Iterator[Any]:
        class Rig(VirtualWiegand):
            cards = (Card.parse("person:1017"), Card.parse("person:6547886"))

            @property
            def address(self) -> str:
                return f"external:wiegand:{self.path}?form=bits&silence=0.3"

            def frame(self, card: Card) -> bytes:
                return super().frame(Card("wiegand26", int(card.id).to_bytes(3, "big")))

        with Rig() as rig:
            yield rig


class OsdpRig(VirtualOsdp):
    cards = (Card.parse("wiegand26:14B938"), Card.parse("iso14443a:04A1B2C3D4E5F6"))
    key_file: Path

    @property
    def address(self) -> str:
        return f"{super().address}&key=file:{self.key_file}"


class TestOsdp(SignallingReaderContract):
    """A reader that speaks for itself when a card comes, and says nothing while it lies there."""

    @pytest.fixture
    def rig(self, tmp_path: Path) -> Iterator[OsdpRig]:
        pytest.importorskip("osdp")
        key = bytes(range(1, 17))
        with OsdpRig(address=101, key=key) as rig:
            rig.key_file = tmp_path / "osdp.key"
            rig.key_file.touch(mode=0o600)
            rig.key_file.write_text(f"{key.hex()}\n")
            yield rig


class CcidRig(VirtualCcid):
    cards = (Card.parse("iso14443a:04A1B2C3D4E5F6"), Card.parse("iso14443a:9DCB4340"))

    smart = Card.parse("type-4-tag:04112233445566")

    def answer_too_long(self) -> None:
        self.fault("too-long")


class TestCcid(SignallingReaderContract, ExchangingReaderContract):
    @pytest.fixture
    def rig(self) -> Iterator[CcidRig]:
        with CcidRig() as rig:
            yield rig
