"""The destination `smtp`: each message as a letter, with the still in it (RFC 5321, RFC 5322; STARTTLS: RFC 3207).

A letter cannot be taken back or amended, so an alert waits a moment for its still. Letters of one message have the same
Message-ID each time that they are sent, and later letters of a case refer to its first: mail programs show one thread.
"""

from __future__ import annotations

import base64
import contextlib
import email.utils
import hashlib
import json
import logging
import re
import smtplib
import socket
import ssl
import threading
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import urlsplit

from edusense.alerts.destination import Destination
from edusense.alerts.letters import body_of, subject_of
from edusense.errors import (
    DestinationRefusedError,
    DestinationUnavailableError,
    EdusenseError,
    MessageRefusedError,
)
from edusense.site.fields import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edusense.alerts.destination import Settings
    from edusense.alerts.outbox import Attachment

__all__ = ["Smtp"]

logger = logging.getLogger(__name__)

WITHIN_S: Final = 30.0
"""For a whole letter, beyond what its bytes take on the way out."""
ANSWER_S: Final = 15.0
"""For one answer of the server."""
_PORTS: Final = {"smtp": 587, "smtps": 465}
_MOST_PEOPLE: Final = 20
_ADDRESS: Final = re.compile(r"[^@\s,<>\"]{1,64}@[^@\s,<>\"]{1,190}")
_ABOUT_THIS_LETTER: Final = frozenset({552, 554})


class Smtp(Destination):
    """A mail server that takes letters; `again` is not mailed, which would be a letter a minute."""

    URLS: ClassVar[tuple[str, ...]] = ("smtps", "smtp")
    OPTIONS: ClassVar[Mapping[str, str]] = {
        "to": "who gets the letters: addresses with commas between them",
        "from": "whose they are: one address",
        "subject": "what stands before each subject (`edusense`)",
    }
    STILL_WITHIN_S: ClassVar[float] = 10.0

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._name = f"destination `{settings.id}`"
        parts = urlsplit(settings.url or "")
        self._host = parts.hostname or ""
        self._secure = parts.scheme == "smtps"
        self._port = parts.port or _PORTS.get(parts.scheme, 587)
        self._to = self._people("to", most=_MOST_PEOPLE)
        (self._from,) = self._people("from", most=1)
        self._prefix = str(settings.options.get("subject", "edusense"))[:60]
        self.connection: smtplib.SMTP | None = None
        """The one that is under way."""
        self._said: set[str] = set()

    def _people(self, option: str, *, most: int) -> list[str]:
        given = str(self.settings.options.get(option, ""))
        found = [address.strip() for address in given.split(",") if address.strip()]
        wrong = [one for one in found if not _ADDRESS.fullmatch(one) or not one.isprintable()]
        if wrong or not 0 < len(found) <= most:
            raise DestinationRefusedError(
                f"{self._name}: `{option}` of its options "
                + (f"holds `{wrong[0][:80]}`, which is no address" if wrong else "is missing or too long"),
                hint='options = { to = "guard@school-51.kz, director@school-51.kz", from = "edusense@school-51.kz" }',
            )
        return found

    def send(self, message: Mapping[str, Any], still: Attachment | None = None) -> None:
        """Sends the letter; returns when the server has taken it for one who gets it at least."""
        if message.get("what") == "again":
            return
        letter = self._letter(message, still)
        raw = letter.as_bytes(policy=letter.policy.clone(linesep="\r\n"))
        self.settings.pace(len(raw))
        # One letter, one connection: alerts are rare, and a server's patience with silence is not known.
        timer = threading.Timer(WITHIN_S, self.interrupt)
        timer.daemon = True
        timer.start()
        try:
            with contextlib.closing(_Closing(self._connected())) as held:
                refused = held.connection.sendmail(self._from, self._to, raw)
        except EdusenseError:
            raise
        except (OSError, smtplib.SMTPException) as error:
            raise self._broke(error) from error
        finally:
            timer.cancel()
            if self.connection is not None:
                self.connection.close()
            self.connection = None
        for address, (code, _) in refused.items():
            if address not in self._said:
                self._said.add(address)
                logger.warning("alerts: destination=%s: %s is refused with %d", self.settings.id, address, code)

    def _connected(self) -> smtplib.SMTP:
        made: smtplib.SMTP
        context = self.settings.tls()
        if self._secure:
            made = _WatchedTls(self, self._host, self._port, timeout=ANSWER_S, context=context)
        else:
            made = _Watched(self, self._host, self._port, timeout=ANSWER_S)
        encrypted = self._secure
        made.ehlo_or_helo_if_needed()
        if not encrypted and made.has_extn("starttls"):
            made.starttls(context=context)
            made.ehlo()
            encrypted = True
        if not encrypted and not is_loopback(self._host):
            made.close()
            raise DestinationRefusedError(
                f"{self._name}: `{self._host}` offers no encryption: letters about children do not go in clear",
                hint="smtps://…, or a server with STARTTLS; a relay on this machine itself may do without",
            )
        if self.settings.user is not None and self.settings.password is not None:
            _login(made, self.settings.user, self.settings.password)
        return made

    def _letter(self, message: Mapping[str, Any], still: Attachment | None) -> EmailMessage:
        letter = EmailMessage()
        letter["Subject"] = f"{self._prefix}: {subject_of(message)}"
        letter["From"], letter["To"] = self._from, ", ".join(self._to)
        letter["Date"] = email.utils.formatdate(message.get("at_s") or message.get("opened_s"), localtime=False)
        letter["Message-ID"] = self._id(message["case"], message["sequence"])
        letter["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday answers it
        if message["sequence"] > 1:
            letter["In-Reply-To"] = letter["References"] = self._id(message["case"], 1)
        letter.set_content(body_of(message, self.settings.timezone))
        letter.add_attachment(
            json.dumps(message, ensure_ascii=False, indent=1).encode(),
            maintype="application",
            subtype="json",
            filename="message.json",
        )
        if still is not None:
            with contextlib.suppress(OSError):
                picture = still.path.read_bytes()
                letter.add_attachment(picture, maintype="image", subtype="jpeg", filename="still.jpg")
        return letter

    def _id(self, case: str, sequence: int) -> str:
        told = hashlib.sha256(f"{self.settings.school['id']}/{case}/{sequence}".encode()).hexdigest()[:32]
        return f"<{told}@{self._from.rpartition('@')[2]}>"

    def _broke(self, error: Exception) -> EdusenseError:
        match error:
            case smtplib.SMTPAuthenticationError():
                return DestinationRefusedError(
                    f"{self._name}: the server does not take this user and password", hint="are they the mailbox's?"
                )
            case smtplib.SMTPRecipientsRefused():
                codes = {code for code, _ in error.recipients.values()}
                return self._refused(f"nobody of {len(self._to)} may get letters ({_codes(codes)})", codes)
            case smtplib.SMTPSenderRefused():
                return self._refused(f"it takes nothing from `{self._from}` ({error.smtp_code})", {error.smtp_code})
            case smtplib.SMTPDataError():
                if error.smtp_code in _ABOUT_THIS_LETTER:
                    return MessageRefusedError(f"{self._name}: this letter is refused with {error.smtp_code}")
                return self._refused(f"the letter is not taken ({error.smtp_code})", {error.smtp_code})
            case smtplib.SMTPNotSupportedError():
                return DestinationRefusedError(
                    f"{self._name}: the server offers no login", hint="leave credentials out"
                )
            case smtplib.SMTPResponseException():
                return self._refused(f"the server answered {error.smtp_code}", {error.smtp_code})
            case ssl.SSLCertVerificationError():
                return DestinationRefusedError(
                    f"{self._name}: its certificate is not to be trusted: {error.verify_message}",
                    hint="have it renewed; a certificate of your own authority is named by `ca`",
                )
            case ssl.SSLError():
                return DestinationRefusedError(
                    f"{self._name}: no TLS with it: {error.reason or error}", hint="smtp:// or smtps://?"
                )
            case TimeoutError():
                return DestinationUnavailableError(f"{self._name} did not answer in time")
            case _:
                told = getattr(error, "strerror", None) or type(error).__name__
                return DestinationUnavailableError(f"{self._name}: {told}", hint="is the link up?")

    def _refused(self, what: str, codes: set[int]) -> EdusenseError:
        kind: Callable[..., EdusenseError] = (
            DestinationRefusedError if any(500 <= code < 600 for code in codes) else DestinationUnavailableError
        )
        return kind(f"{self._name}: {what}", hint="ask whoever runs the mail server")

    def interrupt(self) -> None:
        """Ends what waits in another thread."""
        connection = self.connection
        if connection is not None and connection.sock is not None:
            with contextlib.suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)


class _Watched(smtplib.SMTP):
    """Known to whoever may have to end it before it has said its first word."""

    def __init__(self, owner: Smtp, *arguments: Any, **more: Any) -> None:
        owner.connection = self
        super().__init__(*arguments, **more)


class _WatchedTls(smtplib.SMTP_SSL):
    """As `_Watched`, with TLS from the beginning."""

    def __init__(self, owner: Smtp, *arguments: Any, **more: Any) -> None:
        owner.connection = self
        super().__init__(*arguments, **more)


def _login(connection: smtplib.SMTP, user: str, password: str) -> None:
    """AUTH PLAIN (RFC 4616) or LOGIN, in UTF-8: smtplib's own knows ASCII alone."""
    offered = connection.esmtp_features.get("auth", "").upper().split()
    encoded = [base64.b64encode(text.encode()).decode() for text in (f"\0{user}\0{password}", user, password)]
    if "PLAIN" in offered:
        code, _ = connection.docmd("AUTH", f"PLAIN {encoded[0]}")
    elif "LOGIN" in offered:
        code, _ = connection.docmd("AUTH", f"LOGIN {encoded[1]}")
        if code == 334:
            code, _ = connection.docmd(encoded[2])
    else:
        raise smtplib.SMTPNotSupportedError("no login that is known here")
    if code in (535, 534, 530):
        raise smtplib.SMTPAuthenticationError(code, b"")
    if code not in (235, 503):  # 503: it knows us already
        raise smtplib.SMTPResponseException(code, b"")


class _Closing:
    """A connection that is left politely where it still works."""

    def __init__(self, connection: smtplib.SMTP) -> None:
        self.connection = connection

    def close(self) -> None:
        with contextlib.suppress(OSError, smtplib.SMTPException):
            self.connection.quit()
        self.connection.close()


def _codes(codes: set[int]) -> str:
    return ", ".join(str(code) for code in sorted(codes))
