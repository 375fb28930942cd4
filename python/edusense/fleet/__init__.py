"""The fleet of cameras: found, asked who they are, their streams' addresses, the settings that they should have.

```python
from edusense import Site, fleet

site = Site.load("school.toml")
for camera in site.cameras:
    streams = fleet.stream_addresses(camera, site.credentials.get(camera.credentials), timeout_s=10)
    print(camera.id, streams.watch, streams.keep)

plan = fleet.plan(site)                     # reads every camera, changes nothing
for row in plan.rows():
    print(row["camera"], row["setting"], row["actual"], row["desired"], row["action"])
for done in fleet.apply(plan, canary=3):    # sets, reads back, compares
    print(done.camera, done.setting, done.outcome)
for one in fleet.health(site):              # watches each for some seconds
    print(one.camera, one.outcome, [finding.words for finding in one.findings])
```
"""

from __future__ import annotations

from edusense.devices.profiles import choose
from edusense.fleet.adding import NewCamera, add_adopted, add_cameras, edit_site, propose, remember_addresses
from edusense.fleet.addresses import Login, StreamAddresses, address_of, stream_addresses
from edusense.fleet.adopting import Adopted, adopt, dhcp_plan
from edusense.fleet.applying import Applied, apply
from edusense.fleet.auditing import Audited, audit
from edusense.fleet.backups import BackedUp, Backup, back_up, latest_backup, plan_restore
from edusense.fleet.camera_list import ListedCamera, read_list
from edusense.fleet.comparing import Finding
from edusense.fleet.handover import Handover, handover
from edusense.fleet.health import OUTCOMES, CameraHealth, health
from edusense.fleet.health_store import HealthStore
from edusense.fleet.journal import Progressed, progress_of
from edusense.fleet.passwords import rotate_passwords
from edusense.fleet.planning import Plan, plan
from edusense.fleet.search import Found, discover
from edusense.fleet.tasks import Rebooted, chosen, reboot, set_time
from edusense.fleet.templates import Template, match, template, template_folders
from edusense.fleet.visit import CameraReport, show, snapshot

__all__ = [
    "OUTCOMES",
    "Adopted",
    "Applied",
    "Audited",
    "BackedUp",
    "Backup",
    "CameraHealth",
    "CameraReport",
    "Finding",
    "Found",
    "Handover",
    "HealthStore",
    "ListedCamera",
    "Login",
    "NewCamera",
    "Plan",
    "Progressed",
    "Rebooted",
    "StreamAddresses",
    "Template",
    "add_adopted",
    "add_cameras",
    "address_of",
    "adopt",
    "apply",
    "audit",
    "back_up",
    "choose",
    "chosen",
    "dhcp_plan",
    "discover",
    "edit_site",
    "handover",
    "health",
    "latest_backup",
    "match",
    "plan",
    "plan_restore",
    "progress_of",
    "propose",
    "read_list",
    "reboot",
    "remember_addresses",
    "rotate_passwords",
    "set_time",
    "show",
    "snapshot",
    "stream_addresses",
    "template",
    "template_folders",
]
