"""The secure channel of OSDP, the reader's half: keys of a session, cryptograms, MACs, encryption of data.

Needs `cryptography`. Source: SIA OSDP v2.1.7 (IEC 60839-11-5), annex D; the values of its annex E are in the tests.
"""

from __future__ import annotations

from typing import Final

from edusense.errors import UsageError

__all__ = ["DEFAULT_KEY", "SecureSession", "aes"]

DEFAULT_KEY: Final = bytes(range(0x30, 0x40))
"""SCBK-D: the key that everybody knows, for the first installation only."""
_BLOCK: Final = 16
_MARK: Final = b"\x80"


def aes(key: bytes, data: bytes, iv: bytes | None = None, *, decrypt: bool = False) -> bytes:
    """AES-128: one block without `iv`, cipher block chaining with it.

    Raises:
        UsageError: `cryptography` is not installed.
    """
    try:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    except ImportError:
        raise UsageError(
            "the secure channel needs `cryptography`",
            hint="pip install 'edusense[osdp]', or --no-key for a line without it",
        ) from None
    cipher = Cipher(algorithms.AES(key), modes.ECB() if iv is None else modes.CBC(iv))  # noqa: S305 -- as OSDP has it
    worker = cipher.decryptor() if decrypt else cipher.encryptor()
    return worker.update(data) + worker.finalize()


class SecureSession:
    """One session: made when the controller asks for it, good when its cryptogram was right.

    Args:
        key: the key that both share (SCBK).
        controller_random: RND.A, eight bytes.
        own_random: RND.B, eight bytes.
    """

    def __init__(self, key: bytes, controller_random: bytes, own_random: bytes) -> None:
        def derived(which: int) -> bytes:
            return aes(key, bytes([0x01, which]) + controller_random[:6] + bytes(8))

        self.enc, self.mac1, self.mac2 = derived(0x82), derived(0x01), derived(0x02)
        self.client_cryptogram = aes(self.enc, controller_random + own_random)
        self._server_cryptogram = aes(self.enc, own_random + controller_random)
        self.established = False
        self._command_mac = bytes(_BLOCK)
        self._reply_mac = bytes(_BLOCK)

    def establish(self, server_cryptogram: bytes) -> bytes | None:
        """Takes the controller's cryptogram; the first MAC (R-MAC-I), or None where the cryptogram is wrong."""
        if server_cryptogram != self._server_cryptogram:
            return None
        self._reply_mac = aes(self.mac2, aes(self.mac1, server_cryptogram))
        self.established = True
        return self._reply_mac

    def command_mac_fits(self, packet: bytes, mac: bytes) -> bool:
        """Whether a command's MAC is right, and takes it as the last one if so.

        Args:
            packet: from SOM to the last byte before the MAC.
            mac: its first four bytes, as they came.
        """
        computed = self._mac(packet, self._reply_mac)
        if computed[: len(mac)] != mac:
            return False
        self._command_mac = computed
        return True

    def reply_mac(self, packet: bytes) -> bytes:
        """The four bytes behind a reply, which becomes the last one."""
        self._reply_mac = self._mac(packet, self._command_mac)
        return self._reply_mac[:4]

    def decrypted(self, data: bytes) -> bytes | None:
        """What a command's data say; None where they are no whole blocks or not padded as they must be."""
        if len(data) % _BLOCK:
            return None
        plain = aes(self.enc, data, _inverted(self._reply_mac), decrypt=True).rstrip(b"\x00")
        return plain[:-1] if plain.endswith(_MARK) else None

    def encrypted(self, data: bytes) -> bytes:
        """A reply's data, padded and encrypted. To be called after the command's MAC was taken."""
        return aes(self.enc, _padded(data + _MARK), _inverted(self._command_mac))

    def _mac(self, packet: bytes, before: bytes) -> bytes:
        """Cipher block chaining with the first key, the last block with the second (D.5)."""
        blocks = packet if len(packet) % _BLOCK == 0 else _padded(packet + _MARK)
        chained = aes(self.mac1, blocks[:-_BLOCK], before)[-_BLOCK:] if len(blocks) > _BLOCK else before
        return aes(self.mac2, blocks[-_BLOCK:], chained)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % _BLOCK)


def _inverted(data: bytes) -> bytes:
    return bytes(byte ^ 0xFF for byte in data)
