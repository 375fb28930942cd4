"""The clip and the picture of each motion event of the running box, copied to a folder as they come. For asyncio.

    python docs/examples/save_clips.py --site school.toml --reason "pilot of the new gate" clips/

Children are on these pictures: from here on the files are yours to protect and to delete.
"""

import argparse
import asyncio
from pathlib import Path

from edusense.box import connect_async


async def main(folder: Path, site: str | None, since: int | None, reason: str) -> None:
    """Saves until it is interrupted."""
    box = await connect_async(site)
    async for event in box.events(follow=True, since=since, kinds=["motion"], reconnect=True):
        (folder / f"{event['id']}.mp4").write_bytes(await box.clip(event["id"], reason=reason))
        (folder / f"{event['id']}.jpg").write_bytes(await box.thumbnail(event["id"], reason=reason))
        print(event["id"], flush=True)


parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("folder", type=Path)
parser.add_argument("--site")
parser.add_argument("--since", type=int, help="a cursor; 0: also what has happened already")
parser.add_argument("--reason", required=True, help="why, for the audit log")
asyncio.run(main(**vars(parser.parse_args())))
