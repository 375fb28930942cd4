"""The site file as JSON Schema, for editors that complete and check TOML (taplo, VS Code's "Even Better TOML")."""

from __future__ import annotations

from typing import Any

from edusense.site.models import Site

__all__ = ["site_schema"]


def site_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of the site file.

    It holds names, types and limits; what lies between tables (names that exist, ids given once) `Site.load` tells.

    >>> sorted(site_schema()["required"])
    ['site']
    """
    schema = Site.model_json_schema(by_alias=True)
    # An address or a url, not both: the models leave this to the checks, which can name the place.
    schema["$defs"]["Camera"]["oneOf"] = [{"required": ["address"]}, {"required": ["url"]}]
    schema["description"] = "The site file of a school: its rooms and devices."
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "edusense site file",
        **{key: value for key, value in schema.items() if key != "title"},
    }
