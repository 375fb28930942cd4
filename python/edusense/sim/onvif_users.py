"""Who may log in to a virtual camera, and changing that. Source: ONVIF Core Specification 8.4 (user handling)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from edusense.sim.onvif_services import operation
from edusense.sim.onvif_state import MAX_USERS, User
from edusense.sim.onvif_xml import Fault, escape

if TYPE_CHECKING:
    from edusense.sim.onvif_http import Request
    from edusense.sim.onvif_server import OnvifServer
    from edusense.sim.onvif_xml import Element

__all__: list[str] = []

LEVELS: Final = ("Administrator", "Operator", "User")
_NOT_TAKEN: Final = frozenset("'\";:&/")


def _asked(asked: Element) -> list[tuple[str, str, str]]:
    found = []
    for one in asked.children:
        name, password, level = one.value("Username"), one.value("Password"), one.value("UserLevel")
        if one.name != "User" or not name or level not in LEVELS:
            raise Fault(
                ("ter:InvalidArgVal", "ter:UserLevelNotAllowed"), f"no user `{name[:40]}` of level `{level[:20]}`"
            )
        found.append((name, password, level))
    if not found:
        raise Fault(("ter:InvalidArgVal",), "no user is named")
    return found


def _check_password(server: OnvifServer, password: str) -> None:
    if "picky-password" in server.faults and (not 8 <= len(password) <= 32 or _NOT_TAKEN & set(password)):
        raise Fault(("ter:OperationProhibited", "ter:Password"), "the password does not meet the rules")


def _one_administrator(users: dict[str, User]) -> None:
    if not any(one.level == "Administrator" for one in users.values()):
        raise Fault(("ter:OperationProhibited", "ter:FixedUser"), "the last administrator stays")


@operation("tds:GetUsers")
def _get_users(server: OnvifServer, _: Request, __: Element) -> str:
    return "".join(
        f"<tds:User><tt:Username>{escape(name)}</tt:Username><tt:UserLevel>{one.level}</tt:UserLevel></tds:User>"
        for name, one in server.state.users.items()
    )


@operation("tds:CreateUsers")
def _create(server: OnvifServer, _: Request, asked: Element) -> str:
    given = _asked(asked)
    users = dict(server.state.users)
    made: dict[str, User] = {}
    for name, password, level in given:
        if name in users:
            raise Fault(("ter:OperationProhibited", "ter:UsernameClash"), f"there is a user `{name[:40]}`")
        _check_password(server, password)
        users[name] = made[name] = User(password, level, made_here=False)
    if len(users) > MAX_USERS:
        raise Fault(("ter:Action", "ter:TooManyUsers"), f"more than {MAX_USERS} users")

    def work() -> None:
        server.state.users = {**server.state.users, **made}

    server.change(asked.name, work)
    return ""


@operation("tds:SetUser")
def _set(server: OnvifServer, _: Request, asked: Element) -> str:
    given = _asked(asked)
    users = dict(server.state.users)
    for name, password, level in given:
        if name not in users:
            raise Fault(("ter:InvalidArgVal", "ter:UsernameMissing"), f"there is no user `{name[:40]}`")
        if password:
            _check_password(server, password)
        users[name] = replace(users[name], password=password or users[name].password, level=level)
    _one_administrator(users)

    def work() -> None:
        server.state.users = {**server.state.users, **{name: users[name] for name, _, _ in given}}
        server.state.password_pending = False

    server.change(asked.name, work)
    return ""


@operation("tds:DeleteUsers")
def _delete(server: OnvifServer, _: Request, asked: Element) -> str:
    users = dict(server.state.users)
    for one in asked.children:
        name = one.text.strip()
        if name not in users:
            raise Fault(("ter:InvalidArgVal", "ter:UsernameMissing"), f"there is no user `{name[:40]}`")
        if users[name].made_here:
            raise Fault(("ter:OperationProhibited", "ter:FixedUser"), f"`{name[:40]}` stays")
        del users[name]
    _one_administrator(users)

    def work() -> None:
        server.state.users = {name: one for name, one in server.state.users.items() if name in users}

    server.change(asked.name, work)
    return ""
