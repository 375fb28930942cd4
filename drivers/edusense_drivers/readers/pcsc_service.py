"""The PC/SC service (pcscd) through pyscard, in the few words that the driver needs.

Source: PC/SC part 5 (the resource manager's interface), as pcsc-lite and pyscard's `smartcard.scard` have it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from edusense.errors import (
    CardGoneError,
    DeviceDisconnectedError,
    DeviceError,
    DeviceNotFoundError,
    DeviceProtocolError,
    DriverMissingError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Change", "Connection", "PcscService", "Service"]


@dataclass(frozen=True, slots=True)
class Change:
    """What the service says of a reader's slot.

    Args:
        present: whether a card lies there.
        atr: its answer to reset; empty without one.
        state: the service's own word for it, to be given back when the next change is waited for.
        gone: whether the reader itself is gone.
    """

    present: bool
    atr: bytes
    state: int
    gone: bool = False


class Connection(Protocol):
    """A card that is connected to."""

    def transmit(self, apdu: bytes) -> bytes:
        """Exchanges an APDU.

        Raises:
            CardGoneError: the card was taken away.
        """
        ...

    def disconnect(self) -> None:
        """Lets go of the card."""
        ...


class Service(Protocol):
    """What the driver needs of the service."""

    def readers(self) -> Sequence[str]:
        """Names of the readers that it has."""
        ...

    def change(self, reader: str, state: int, seconds: float) -> Change | None:
        """Waits until a slot is otherwise than `state`; None when that was not in time, or `cancel` was called."""
        ...

    def connect(self, reader: str) -> Connection:
        """Connects to the card that lies there.

        Raises:
            CardGoneError: there is none, or it does not answer.
        """
        ...

    def cancel(self) -> None:
        """Ends `change` in another thread."""
        ...

    def close(self) -> None:
        """Ends the session."""
        ...


class PcscService:
    """pcscd through pyscard.

    Raises:
        DriverMissingError: pyscard is not installed.
        DeviceNotFoundError: pcscd does not run.
    """

    def __init__(self) -> None:
        try:
            from smartcard import scard
        except ImportError:
            raise DriverMissingError(
                "the driver pcsc needs pyscard",
                hint="sudo apt-get install pcscd libpcsclite-dev swig, then pip install 'edusense-drivers[pcsc]'; or "
                "use the driver ccid, which needs neither",
            ) from None
        self._scard: Any = scard
        result, self._context = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
        if result != scard.SCARD_S_SUCCESS:
            raise self._error(result, "the PC/SC service")

    def readers(self) -> Sequence[str]:
        """Names of the readers that it has."""
        result, names = self._scard.SCardListReaders(self._context, [])
        if result == self._scard.SCARD_E_NO_READERS_AVAILABLE:
            return ()
        if result != self._scard.SCARD_S_SUCCESS:
            raise self._error(result, "the PC/SC service")
        return tuple(names)

    def change(self, reader: str, state: int, seconds: float) -> Change | None:
        """Waits for a change."""
        scard = self._scard
        result, states = scard.SCardGetStatusChange(self._context, int(seconds * 1000), [(reader, state)])
        if result in (scard.SCARD_E_TIMEOUT, scard.SCARD_E_CANCELLED):
            return None
        if result != scard.SCARD_S_SUCCESS:
            raise self._error(result, reader)
        _, found, atr = states[0]
        return Change(
            present=bool(found & scard.SCARD_STATE_PRESENT) and not found & scard.SCARD_STATE_MUTE,
            atr=bytes(atr),
            state=found & ~scard.SCARD_STATE_CHANGED,
            gone=bool(found & (scard.SCARD_STATE_UNKNOWN | scard.SCARD_STATE_UNAVAILABLE)),
        )

    def connect(self, reader: str) -> Connection:
        """Connects to a card."""
        scard = self._scard
        result, card, protocol = scard.SCardConnect(
            self._context, reader, scard.SCARD_SHARE_SHARED, scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1
        )
        if result != scard.SCARD_S_SUCCESS:
            raise self._error(result, reader)
        return _Connection(self, card, protocol)

    def cancel(self) -> None:
        """Ends a wait."""
        self._scard.SCardCancel(self._context)

    def close(self) -> None:
        """Ends the session."""
        self._scard.SCardReleaseContext(self._context)

    def transmit(self, card: Any, protocol: Any, apdu: bytes, reader: str = "the reader") -> bytes:
        """Exchanges an APDU with a connected card."""
        result, answer = self._scard.SCardTransmit(card, protocol, list(apdu))
        if result != self._scard.SCARD_S_SUCCESS:
            raise self._error(result, reader)
        return bytes(byte & 0xFF for byte in answer)

    def disconnect(self, card: Any) -> None:
        """Lets go of a card."""
        self._scard.SCardDisconnect(card, self._scard.SCARD_LEAVE_CARD)

    def _error(self, result: int, what: str) -> DeviceError:
        """Our error for one of the service's numbers."""
        scard = self._scard
        told = str(scard.SCardGetErrorMessage(result)).strip().rstrip(".")
        if result in (scard.SCARD_E_NO_SERVICE, scard.SCARD_E_SERVICE_STOPPED):
            return DeviceNotFoundError("the PC/SC service does not run", hint="sudo systemctl start pcscd.socket")
        if result in (scard.SCARD_E_UNKNOWN_READER, scard.SCARD_E_READER_UNAVAILABLE):
            return DeviceDisconnectedError(
                f"`{what}` is gone", hint="plug the reader in again; the box opens it by itself"
            )
        if result in (
            scard.SCARD_W_REMOVED_CARD,
            scard.SCARD_E_NO_SMARTCARD,
            scard.SCARD_W_UNPOWERED_CARD,
            scard.SCARD_W_UNRESPONSIVE_CARD,
            scard.SCARD_W_RESET_CARD,
            scard.SCARD_E_NOT_TRANSACTED,
        ):
            return CardGoneError(f"no card lies on `{what}` ({told})", hint="lay it down and leave it there")
        return DeviceProtocolError(f"`{what}`: {told}", hint="sudo systemctl restart pcscd")


class _Connection:
    """A card, by the service's handle."""

    def __init__(self, service: PcscService, card: Any, protocol: Any) -> None:
        self._service, self._card, self._protocol = service, card, protocol

    def transmit(self, apdu: bytes) -> bytes:
        """Exchanges an APDU."""
        return self._service.transmit(self._card, self._protocol, apdu)

    def disconnect(self) -> None:
        """Lets go of the card."""
        self._service.disconnect(self._card)
