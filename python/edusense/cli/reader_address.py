"""How a reader is named on a command line: by its address, or by its id in the site file."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edusense.site import Reader as SiteReader

__all__ = ["reader_address", "site_readers"]


def site_readers(site_path: str, *, required: bool = False) -> list[SiteReader]:
    """The readers of the site file; none where there is no file and none is required."""
    from pathlib import Path

    from edusense.site import Site

    if not required and site_path == "school.toml" and not Path(site_path).exists():
        return []
    return list(Site.load(site_path).readers)


def reader_address(reader: str, site_path: str) -> str:
    """The address of a reader that is named by its address or by its id in the site file.

    Raises:
        UsageError: the site file has no such reader.
    """
    if ":" in reader:
        from edusense.devices import Address

        return Address(reader)
    import difflib

    from edusense.devices import drivers
    from edusense.errors import UsageError

    if reader.startswith("/"):
        raise UsageError(
            f"`{reader}` is a port; which protocol it speaks is not known",
            hint=f"edusense reader identify {reader} finds out and prints the address",
        )
    known = {found.id: found.address for found in site_readers(site_path)}
    if reader in known:
        return known[reader]
    if (driver := next((found.driver for found in drivers("reader") if found.name == reader), None)) is not None:
        raise UsageError(
            f"`{reader}` is a driver, and no reader",
            hint=f"an address says where it is, too: {driver.address}; `edusense reader ports` lists what is there",
        )
    known = known or {found.id: found.address for found in site_readers(site_path, required=True)}
    near = difflib.get_close_matches(reader, known, 1)
    raise UsageError(
        f"`{site_path}` has no reader `{reader}`",
        hint=f"did you mean `{near[0]}`?" if near else f"its readers: {', '.join(known) or 'none'}; or give an address",
    )
