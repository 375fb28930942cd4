"""Who may log in to a camera, and changing that. Source: ONVIF Core Specification 8.4 (user handling).

A camera's OK about users proves nothing: Tapo's does nothing, Bosch's SetUser works only for users made by ONVIF
(EdgeX device-onvif-camera). Whoever changes a password must log in with it before the old one is forgotten.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from edusense.devices.camera import CameraSettings
from edusense.errors import DeviceRefusedError, UsageError
from edusense_drivers.onvif import soap
from edusense_drivers.onvif.policies import UserPolicy
from edusense_drivers.onvif.settings import Group

if TYPE_CHECKING:
    from edusense_drivers.onvif.session import Session

__all__ = ["Users", "set_password"]

LEVELS: Final = {"administrator": "Administrator", "operator": "Operator", "user": "User"}
"""Our words for ONVIF's levels."""


class Users(Group):
    """The camera's users: name → level, in small letters."""

    def read(self) -> CameraSettings:
        """Who there is."""
        answer = self.session.call("device", "GetUsers")
        found = {}
        for one in soap.children(answer, "User"):
            if name := soap.text(one, "Username"):
                found[name] = (soap.text(one, "UserLevel") or "").lower()
        return CameraSettings({"users": found, **{f"user:{name}": level for name, level in found.items()}})

    def write(self, values: dict[str, Any]) -> bool:
        """Sets levels and removes users: `user:NAME` → a level, or `absent`."""
        policy = self.session.policies.users
        if policy is UserPolicy.ELSEWHERE:
            raise _elsewhere(self.session)
        there: dict[str, str] = self.read().values["users"]
        if unknown := [key for key in values if not key.startswith("user:")]:
            raise UsageError(f"`{unknown[0]}` can only be read", hint="`user:NAME` is what can be set")
        for key, level in values.items():
            name = key.removeprefix("user:")
            rest = {other: has for other, has in there.items() if other != name}
            if level != "administrator" and there.get(name) == "administrator" and "administrator" not in rest.values():
                raise DeviceRefusedError(
                    f"`{name}` is the last administrator of `{self.session.who}`", hint="make another one first"
                )
            if level == "absent" and name in there:
                self.session.call("device", "DeleteUsers", Username=[name])
            elif level != "absent":
                if name not in there:
                    raise DeviceRefusedError(
                        f"`{self.session.who}` has no user `{name}`",
                        hint="`edusense camera rotate-password` makes one with a password",
                    )
                self.session.call("device", "SetUser", User=[{"Username": name, "UserLevel": LEVELS[level]}])
        return False


def _elsewhere(session: Session) -> DeviceRefusedError:
    return DeviceRefusedError(
        f"the users of `{session.who}` can be changed in its maker's own program alone: ONVIF would say OK and do "
        "nothing",
        hint="change them there, then put the new password where the site file says",
    )


def set_password(session: Session, user: str, password: str, level: str | None) -> None:
    """Gives a user another password; makes the user where there is none.

    Args:
        session: with whom.
        user: whose.
        password: the new one.
        level: of a user that is made; an administrator where it is None.

    Raises:
        DeviceRefusedError: as `OnvifCamera.set_password`.
    """
    policies = session.policies
    if problem := policies.password.problem(password):
        raise DeviceRefusedError(
            f"the new password will not do for `{session.who}`: {problem}", hint="nothing was sent; choose another"
        )
    if policies.users is UserPolicy.ELSEWHERE:
        raise _elsewhere(session)
    answer = session.call("device", "GetUsers")
    levels = {soap.text(one, "Username"): soap.text(one, "UserLevel") for one in soap.children(answer, "User")}
    if user not in levels:
        wanted = {"Username": user, "Password": password, "UserLevel": LEVELS[level or "administrator"]}
        session.call("device", "CreateUsers", User=[wanted])
        return
    if policies.users is UserPolicy.CREATE:
        raise DeviceRefusedError(
            f"`{session.who}` changes no user that was made in its web pages, as `{user}` may be",
            hint="name another user in the new table of [credentials]: it is made",
        )
    wanted = {"Username": user, "Password": password, "UserLevel": levels[user] or "Administrator"}
    session.call("device", "SetUser", User=[wanted])
