"""A plan as types: what stands in a plan's or profile's TOML, with limits and defaults."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from edusense.site.fields import Id, Name, Secret, wrong
from edusense.site.secrets import in_url

__all__ = ["Device", "Limit", "MachineLimit", "PlanFile", "PlannedCase", "School"]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class School(_Table):
    """`[school]`: the school that a profile is for; said in the report, and what its limits follow from."""

    cameras: int = Field(ge=0, description="How many.")
    terminals: int = Field(ge=0, description="Canteen terminals.")
    uplink_kbit: int = Field(ge=0, description="To the outside, kbit/s.")
    uplink_least_kbit: int | None = Field(default=None, ge=0, description="What is left of it on a bad day.")
    power: Literal["steady", "fails"] = Field(default="steady", description="Whether the mains go away now and then.")
    architecture: str | None = Field(default=None, description="Of the box it is meant for: `aarch64`.")


class MachineLimit(_Table):
    """`[[machine]]`: something that the machine itself must have."""

    fact: Literal["processors", "memory_gb", "free_gb"] = Field(description="Which fact.")
    at_least: float = Field(description="The least that will do.")
    reason: str = Field(min_length=10, description="Why, for the person who signs.")


class Device(_Table):
    """`[[devices]]`: a device that is measured: a camera, a reader, or the disk under a folder."""

    id: Id = Field(description="Its name in the report.")
    kind: Literal["camera", "reader", "disk"]
    address: str = Field(min_length=1, description="RTSP URL, address of a reader (`rdm6300:/dev/ttyUSB0`), or folder.")
    user: str | None = Field(default=None, description="Of a camera.")
    password: Secret | None = Field(default=None, description="Where it is: `file:PATH` or `env:NAME`.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.kind == "camera":
            if "://" not in self.address:
                raise wrong("the address of a camera is a URL", 'address = "rtsp://10.20.0.51/stream1"')
            if in_url(self.address):
                raise wrong(
                    "a user or password stands in the address, and a plan is copied into its report",
                    'user = "…" and password = "file:PATH" beside it; change the password that stood here',
                )
        elif self.user is not None or self.password is not None:
            raise wrong(f"a {self.kind} has no user and no password")
        if (self.user is None) != (self.password is None):
            raise wrong("`user` and `password` go together")
        return self


class Limit(_Table):
    """`[[cases.limits]]`: what a figure must keep, and why.

    A limit is on the figure's own value, in `unit`; or, with `beside`, on its ratio to that peer in the same run.
    """

    figure: str = Field(description="The figure's id.")
    at_most: float | None = Field(default=None, description="The most that will do.")
    at_least: float | None = Field(default=None, description="The least that will do.")
    unit: str | None = Field(default=None, description="The figure's unit, so that none is taken for another.")
    beside: str | None = Field(default=None, description="The peer whose ratio is meant.")
    reason: str = Field(min_length=10, description="Why, for the person who signs.")

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.at_most is None) == (self.at_least is None):
            raise wrong("a limit has `at_most` or `at_least`, and one of them only")
        if (self.unit is None) == (self.beside is None):
            raise wrong("a limit has the figure's `unit`, or `beside` a peer", 'unit = "ms", or beside = "SQLite"')
        return self


class PlannedCase(_Table):
    """`[[cases]]`: a case that is run."""

    id: str = Field(description="The case: `edusense bench cases` lists them.")
    rounds: int | None = Field(default=None, ge=1, le=1000, description="How often; the case's own default else.")
    device: str | None = Field(default=None, description="Only on this device; else on each of its kind.")
    options: dict[str, Any] = Field(default_factory=dict, description="Options of the case.")
    skip: str | None = Field(default=None, min_length=3, description="Not run, for this reason.")
    limits: list[Limit] = Field(default_factory=list)


class PlanFile(_Table):
    """A plan or a profile."""

    title: Name = Field(description="What the report is called.")
    summary: str = Field(default="", max_length=1000, description="What it is for, for people.")
    base: str | None = Field(default=None, description="A profile that this plan starts from, by its name.")
    rounds: int | None = Field(default=None, ge=1, le=1000, description="How often each case is run.")
    minutes: float | None = Field(default=None, gt=0, le=10_000, description="When no further run is begun.")
    seed: int | None = Field(default=None, ge=0, lt=2**32, description="Of everything drawn at random.")
    school: School | None = None
    machine: list[MachineLimit] = Field(default_factory=list)
    devices: list[Device] = Field(default_factory=list)
    cases: list[PlannedCase] = Field(default_factory=list)
