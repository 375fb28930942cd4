"""From a card in the field to its UID over USB: our driver, nfcpy and pcscd on one virtual ACR122U, by umockdev.

Needs root, and what `make test-peers` installs. All three go through the real libusb, whose calls umockdev answers;
what it adds is the same for all. Prints median and p99 in milliseconds, and the messages to the reader from the card's
arrival to its UID.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edusense.bench.figure import quantile

EDUSENSE = str(Path(sys.executable).with_name("edusense"))
CARDS = 100
FIRST_S, EVERY_S, HOLD_S = 3.0, 0.7, 0.35

OURS = """
import sys, time
from edusense.devices import open_reader
with open_reader("ccid:?feedback=off") as reader:
    for _ in range(int(sys.argv[1])):
        card = reader.read(20)
        print(time.monotonic(), card.id, flush=True)
"""

NFCPY = """
import sys, time
import nfc
frontend = nfc.ContactlessFrontend("usb:072f:2200")
wanted = nfc.clf.RemoteTarget("106A")
for _ in range(int(sys.argv[1])):
    while (found := frontend.sense(wanted)) is None:
        pass
    print(time.monotonic(), found.sdd_res.hex(), flush=True)
    while frontend.sense(wanted) is not None:
        time.sleep(0.02)
frontend.close()
"""

PCSCD = """
import os, subprocess, sys, time
from smartcard import scard
os.makedirs("/run/pcscd", exist_ok=True)
service = subprocess.Popen(["pcscd", "--foreground", "--error"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
try:
    while not os.path.exists("/run/pcscd/pcscd.comm"):
        time.sleep(0.02)
    _, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
    while not (names := scard.SCardListReaders(context, [])[1]):
        time.sleep(0.02)
    state = 0
    for _ in range(int(sys.argv[1])):
        while True:
            _, ((_, found, _),) = scard.SCardGetStatusChange(context, 20000, [(names[0], state)])
            state = found & ~scard.SCARD_STATE_CHANGED
            if not found & scard.SCARD_STATE_PRESENT:
                continue
            result, card, protocol = scard.SCardConnect(context, names[0], scard.SCARD_SHARE_SHARED, 3)
            if result:
                continue
            result, answer = scard.SCardTransmit(card, protocol, [0xFF, 0xCA, 0, 0, 0])
            at = time.monotonic()
            scard.SCardDisconnect(card, scard.SCARD_LEAVE_CARD)
            if not result and answer[-2:] == [0x90, 0]:
                break
        print(at, bytes(byte & 0xFF for byte in answer[:-2]).hex(), flush=True)
finally:
    service.terminate()
    service.wait()
"""


pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def nfcpy(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("nfcpy")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    if subprocess.run([folder / "bin/pip", "install", "--quiet", "nfcpy==1.0.4"], check=False).returncode:
        pytest.skip("nfcpy 1.0.4 cannot be installed: no package index")
    return str(folder / "bin/python")


def measured(folder: Path, name: str, *program: str) -> tuple[float, float, float]:
    """Median and p99 in milliseconds, and messages for each card."""
    script, log = folder / f"{name}.toml", folder / f"{name}.jsonl"
    script.write_text(
        "".join(
            f'[[at]]\nseconds = {FIRST_S + number * EVERY_S:.3f}\ncard = "04A1B2C3{number:06X}"\nhold = {HOLD_S}\n'
            for number in range(CARDS)
        )
    )
    ended = subprocess.run(
        [EDUSENSE, "sim", "reader", "ccid", "--script", str(script), "--log", str(log), "--", *program, str(CARDS)],
        capture_output=True,
        text=True,
        timeout=FIRST_S + CARDS * EVERY_S + 120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    told = dict(reversed(line.split()) for line in ended.stdout.splitlines()[1:])
    happened = [json.loads(line) for line in log.read_text().splitlines()]
    delays, messages = [], []
    for event in happened:
        if event["what"] == "card":
            at = float(told[event["data"] if event["data"] in told else event["data"].upper()])
            delays.append(1000 * (at - event["at_s"]))
            messages.append(sum(other["what"] == "out" and event["at_s"] < other["at_s"] < at for other in happened))
    assert len(delays) == CARDS
    return quantile(delays, 0.5), quantile(delays, 0.99), quantile([float(count) for count in messages], 0.5)


@pytest.mark.skipif(shutil.which("umockdev-wrapper") is None, reason="make test-peers installs umockdev")
def test_card_to_uid_beside_nfcpy_and_pcscd(nfcpy: str, tmp_path: Path):
    found = {"edusense": measured(tmp_path, "edusense", sys.executable, "-c", OURS)}
    found["nfcpy"] = measured(tmp_path, "nfcpy", nfcpy, "-c", NFCPY)
    if shutil.which("pcscd") and os.geteuid() == 0 and not Path("/run/pcscd/pcscd.comm").exists():
        found["pcscd"] = measured(tmp_path, "pcscd", "/usr/bin/python3", "-c", PCSCD)
    for name, (median, p99, messages) in found.items():
        print(f"{name}: median {median:.1f} ms, p99 {p99:.1f} ms, {messages:.0f} messages")  # noqa: T201
    ours = found.pop("edusense")
    for name, peer in found.items():
        assert ours[0] <= peer[0], f"slower than {name}: {ours} {peer}"
