"""onvif-zeep, used so that it is fast and harmless: each WSDL parsed once for all cameras, nothing sent from here.

Parsing costs 0.1 to 0.2 s of CPU and 5 MB a WSDL; done per camera, as its `ONVIFCamera` does, it is nineteen times the
cost of everything else. Its import sets up the root logger and its constructor takes proxies out of the environment:
the first is undone, the second never runs.
"""

from __future__ import annotations

import importlib
import logging
import re
import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edusense.errors import DriverBrokenError, EdusenseError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from lxml import etree

    Send = Callable[[str, "Request"], bytes]

__all__ = ["Request", "build", "names", "namespace_of", "service"]

_lock = threading.RLock()

_ENVELOPE: Final = "http://www.w3.org/2003/05/soap-envelope"
_SPELLED = {"device": "devicemgmt"}


@cache
def _onvif() -> Any:
    """The module `onvif.client`, imported without its side effects on logging."""
    with _lock:
        root, zeeps = logging.getLogger(), logging.getLogger("zeep.client")
        guard, level = logging.NullHandler(), zeeps.level
        root.addHandler(guard)  # with a handler in place, its basicConfig() does nothing
        try:
            import onvif.client
        except ImportError as error:
            raise DriverBrokenError(
                f"onvif-zeep cannot be imported: {error}",
                hint="two packages called `onvif` exclude each other: pip install --force-reinstall onvif-zeep",
            ) from error
        finally:
            root.removeHandler(guard)
            zeeps.setLevel(level)
        return onvif.client


def _zeep() -> Any:
    """zeep, whose own annotations contradict its use."""
    return importlib.import_module("zeep")


def names() -> list[str]:
    """The services that onvif-zeep knows, as `camera.zeep` takes them."""
    return sorted(_onvif().SERVICES)


def _definition(name: str) -> dict[str, str]:
    known: dict[str, dict[str, str]] = _onvif().SERVICES
    spelled = _SPELLED.get(name, name)
    if spelled not in known:
        raise UsageError(f"onvif-zeep knows no service `{name}`", hint=f"it knows {', '.join(sorted(known))}")
    return known[spelled]


def namespace_of(name: str) -> str:
    """The namespace of a service.

    Raises:
        UsageError: onvif-zeep does not know it.
    """
    return _definition(name)["ns"]


def _path(name: str) -> Path:
    return Path(_onvif().__file__).parent.parent / "wsdl" / _definition(name)["wsdl"]


@cache
def _document(path: Path) -> Any:
    """A parsed WSDL, shared by everybody."""
    zeep = _zeep()
    with _lock:
        try:
            return zeep.wsdl.Document(str(path), zeep.Transport(timeout=1), settings=zeep.Settings(strict=False))
        except OSError as error:
            raise DriverBrokenError(
                f"onvif-zeep is incomplete: {error}", hint="pip install --force-reinstall onvif-zeep"
            ) from error


class _Nowhere:
    """A transport that sends nothing: for a service that only builds messages."""

    def post_xml(self, *_: object) -> None:
        raise AssertionError("this service only builds messages")


def _service(name: str, address: str, transport: Any) -> Any:
    zeep = _zeep()
    definition = _definition(name)
    with _lock:  # a first caller parses, the others wait instead of parsing the same again
        document = _document(_path(name))
    client = zeep.Client(document, transport=transport, settings=zeep.Settings(strict=False))
    # Neither user nor password: logging in is the session's, and what onvif-zeep does not know it cannot leak.
    binding = f"{{{definition['ns']}}}{definition['binding']}"
    return _service_class()(address, None, None, str(_path(name)), zeep_client=client, binding_name=binding)


@cache
def _builder(name: str) -> Any:
    return _service(name, "http://nowhere.invalid/", _Nowhere())


class Request:
    """A request as built: the envelope without any login, the operation's name, and its action."""

    __slots__ = ("action", "envelope", "operation")

    def __init__(self, envelope: etree._Element, operation: str, action: str) -> None:
        self.envelope, self.operation, self.action = envelope, operation, action


def build(name: str, operation: str, parameters: dict[str, Any]) -> Request:
    """Builds a request by onvif-zeep.

    Args:
        name: the service: `device`, `media` or another that it knows.
        operation: the ONVIF name, as `GetStreamUri`.
        parameters: by the names of the WSDL.

    Raises:
        UsageError: there is no such operation, or the parameters do not fit the schema.
    """
    builder = _builder(name)
    try:
        envelope = builder.zeep_client.create_message(builder.ws_client, operation, **parameters)
    except (_zeep().exceptions.Error, TypeError, ValueError) as error:
        raise UsageError(f"no request `{operation}` with these parameters: {error}") from error
    for head in envelope.findall(f"{{{_ENVELOPE}}}Header"):
        envelope.remove(head)  # WS-Addressing of zeep's own, for an address that is none: whoever sends it adds that
    return Request(envelope, operation, action_of(_definition(name)["ns"], operation, _declared(builder, operation)))


def _declared(builder: Any, operation: str) -> str:
    return str(builder.ws_client._binding.get(operation).soapaction)  # noqa: SLF001 - zeep has no other way to it


def action_of(namespace: str, operation: str, declared: str) -> str:
    """The SOAP action: as declared, except where the official WSDL itself is misspelt.

    media.wsdl misspells four (`…/wsdlGetVideoSources/`), and strict devices refuse those; its licence forbids mending
    the file.

    >>> action_of("urn:m", "GetVideoSources", "urn:mGetVideoSources/")
    'urn:m/GetVideoSources'
    """
    return declared if declared.startswith(f"{namespace}/") else f"{namespace}/{operation}"


def service(name: str, address: str, send: Send) -> Any:
    """onvif-zeep's own service object, whose requests go out by `send`.

    Args:
        name: a name out of `names()`.
        address: where the camera has it.
        send: takes the address and a request; returns the SOAP answer.
    """
    return _service(name, address, _Through(send))


class _Through:
    """A zeep transport that is ours: deadline, login, size and fault handling are the session's."""

    def __init__(self, send: Send) -> None:
        self._send = send

    def post_xml(self, address: str, envelope: Any, headers: dict[str, str]) -> _Taken:
        asked = next(child for child in envelope if child.tag.endswith("}Body"))[0]
        namespace, _, operation = asked.tag[1:].rpartition("}")
        declared = _ACTION.search(headers.get("Content-Type", ""))
        action = action_of(namespace, operation, declared[1] if declared else "")
        return _Taken(self._send(address, Request(envelope, operation, action)))


_ACTION = re.compile(r'action="([^"]*)"')


class _Taken:
    """What zeep reads of a response."""

    status_code = 200
    encoding = "utf-8"

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.headers = {"Content-Type": "application/soap+xml"}


@cache
def _service_class() -> Any:
    """onvif-zeep's service class, made to let our errors through: it turns every exception into one without a cause."""
    base = _onvif().ONVIFService

    class Service(base):  # type: ignore[misc, valid-type] # onvif-zeep ships no types
        def service_wrapper(self, func: Any) -> Any:
            wrapped = super().service_wrapper(func)

            def call(*args: Any, **kwargs: Any) -> Any:
                try:
                    return wrapped(*args, **kwargs)
                except Exception as error:
                    if isinstance(error.__context__, EdusenseError):
                        raise error.__context__ from None
                    raise

            return call

    return Service
