#!/usr/bin/env python3
"""Checks ledgers, batches, proofs and acknowledgements of school meals with Python's standard library alone.

Written from docs/reference/ledger-format.md and batch-format.md alone. Exits with 1 if one of them does not hold.
usage: plain_verifier.py FOLDER|FILE.edbatch|.edack|.seal|.json… [--key 64 hex digits of whose signature is trusted]
"""

import json
import struct
import sys
from hashlib import sha256, sha512
from pathlib import Path

RECORD = struct.Struct("<3sBBBHIIIIQQqII12sIQQHH32sI")
NAMES = ("magic version kind assurance flags school terminal epoch entitlement sequence pupil time day price slot "
         "ref_epoch ref_sequence card category reason previous crc").split()  # fmt: skip
BATCH = b"EDB\1", "<IIIQIIIIq32s32s", "school terminal epoch first count meals reversals zero sum root key"
ACK = b"EDA\1", "<IIIQQQq32sq32s", "school terminal epoch sequence meals reversals sum head time key"
P, ORDER = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D, ROOT = -121665 * pow(121666, -1, P) % P, pow(2, (P - 1) // 4, P)


def need(holds, what):
    if not holds:
        raise ValueError(what)


def crc32c(data, crc=0xFFFFFFFF):
    for bit in range(len(data) * 8):
        crc ^= data[bit // 8] if bit % 8 == 0 else 0
        crc = crc >> 1 ^ 0x82F63B78 * (crc & 1)
    return crc ^ 0xFFFFFFFF


def point(raw):
    y = int.from_bytes(raw, "little") & (1 << 255) - 1
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if (x * x - square) % P == 0 else x * ROOT % P
    need(y < P and (x * x - square) % P == 0 and not (x == 0 and raw[31] >> 7), "a point that is not on the curve")
    x = P - x if x & 1 != raw[31] >> 7 else x
    return x, y, 1, x * y % P


def add(p, q):
    a, b, c, d = (p[1] - p[0]) * (q[1] - q[0]), (p[1] + p[0]) * (q[1] + q[0]), 2 * p[3] * q[3] * D, 2 * p[2] * q[2]
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(number, p):
    found = times(number >> 1, add(p, p)) if number else (0, 1, 1, 0)
    return add(found, p) if number & 1 else found


def signed(key, message, signature):
    s = int.from_bytes(signature[32:], "little")
    h = int.from_bytes(sha512(signature[:32] + key + message).digest(), "little") % ORDER
    left = times(s, point((4 * pow(5, -1, P) % P).to_bytes(32, "little")))
    right = add(point(signature[:32]), times(h, point(key)))
    same = all((left[i] * right[2] - right[i] * left[2]) % P == 0 for i in (0, 1))
    need(s < ORDER and same, "the signature does not fit")


def record(raw):
    found = dict(zip(NAMES, RECORD.unpack(raw), strict=True))
    need((found["magic"], found["version"], found["crc"]) == (b"EDM", 1, crc32c(raw[:124])), "no sound record")
    return found


def seal(raw, key=None):
    layout = f"<IQIIqII32s32s32s32s{24 * int.from_bytes(raw[20:24], 'little')}s"
    return statement(raw, b"EDL\1", layout, "school first count lines time day last root before head key rows", key)


def pruned(folder):
    at, before, copies = 0, bytes(32), (folder / "meals.pruned").read_bytes()
    halves = copies[: len(copies) // 2], copies[len(copies) // 2 :]
    sound = [one for one in halves if one[:4] == b"EDP\1" and crc32c(one[:-4]) == int.from_bytes(one[-4:], "little")]
    need(sound, "meals.pruned: neither copy is sound")
    _, until, day, _, _, head = struct.unpack("<IQIIq32s", sound[0][4:64])
    while at < until:
        one = seal((folder / f"{at:020}.seal").read_bytes())
        need((one["first"], one["before"]) == (at, before), f"the seals break off before record {at}")
        at, before = at + one["count"], one["head"]
    need((at, before) == (until, head), "the last seal is not that of the last pruned segment")
    return until, day, head, {one[0]: one[1:] for one in struct.iter_unpack("<IIQ", sound[0][64:-4])}


def ledger(folder):
    slots, marks, held, found = [], (folder / "meals.synced").read_bytes(), {}, []
    for mark in (marks[:64], marks[512:576]):
        magic, phase, count, synced, crc = struct.unpack("<4sB3xQQ36xI", mark)
        slots.append((count, synced, phase) if magic == b"EDS\1" and crc == crc32c(mark[:60]) else (-1, 0, 0))
    (_, synced, phase), closed = max(slots), all(one[2] == 1 for one in slots)
    begin, gone, before, last = pruned(folder) if (folder / "meals.pruned").exists() else (0, 0, bytes(32), {})
    files = sorted(path for path in folder.glob("*.seg") if int(path.stem) >= begin)
    need(files and int(files[0].stem) == begin, "the first segment is missing")
    at, raw = 128 * begin, bytes(128 * begin)
    for path, after in zip(files, [*files[1:], None], strict=True):
        own = path.read_bytes()
        end = int(after.stem) * 128 if after else len(raw + own)
        need(len(raw + own) <= end, f"{path.name}: longer than the next one's name allows")
        raw += own + bytes(end - len(raw + own))
        if (mine := path.with_suffix(".seal")).exists():
            raws = [own[place : place + 128] for place in range(0, len(own), 128)]
            need(seal(mine.read_bytes())["root"] == root(raws), f"{path.name}: not what its seal says")
    while at + 128 <= len(raw) and raw[at : at + 128] != bytes(128):
        try:
            one = record(raw[at : at + 128])
            need(one["previous"] == before, "does not follow the record before it")
            ref = (one["ref_epoch"], one["ref_sequence"])
            opened = one["kind"] == 1 and one["sequence"] == 1 and ref == last.get(one["terminal"], (0, 0))
            need(opened or last.get(one["terminal"]) == (one["epoch"], one["sequence"] - 1), "a gap in its sequence")
        except ValueError as error:
            need(at // 128 >= synced and not closed, f"record {at // 128}: {error}")
            break
        before, last[one["terminal"]] = sha256(raw[at : at + 128]).digest(), (one["epoch"], one["sequence"])
        child, key = (one["pupil"], one["day"], one["slot"]), (one["terminal"], one["epoch"], one["sequence"])
        need(one["kind"] != 2 or held.setdefault(child, key) == key, f"record {at // 128}: the child's second meal")
        if one["kind"] == 4:
            back = held.pop(child, None) in ((one["terminal"], *ref), None if one["day"] <= gone else ())
            need(back, f"record {at // 128}: takes back what is not there")
        at += 128
        found.append(one)
    need(at // 128 >= synced, f"record {at // 128}: confirmed by the disk, and gone")
    for start in range(at, len(raw) if phase != 2 else at, 128):
        rest = raw[start : start + 128]
        torn = not closed and (rest[:1] == b"E" and rest[127] == 0 or rest[:3] == b"EDM" and not rest[7] & 0x80)
        need(torn or rest == bytes(128), f"record {start // 128}: neither a torn write nor unused")
    return found


def root(raws):
    if len(raws) == 1:
        return sha256(b"\0" + raws[0]).digest()
    split = 1 << (len(raws) - 1).bit_length() - 1
    return sha256(b"\1" + root(raws[:split]) + root(raws[split:])).digest()


def statement(raw, magic, layout, names, key=None):
    need(len(raw) == 68 + struct.calcsize(layout) and raw[:4] == magic, "cut, or another thing")
    found = dict(zip(names.split(), struct.unpack(layout, raw[4:-64]), strict=True))
    need(key in (None, found["key"]), "signed with another key")
    signed(found["key"], raw[:-64], raw[-64:])
    return found


def batch(data, key=None):
    head, at, raws, records = statement(data[:176], *BATCH, key), 176, [], []
    for _ in range(head["count"]):
        need(data[at + 92 : at + 93] in (b"\0", b"\1") and (raws or data[at + 92]), "a row that is cut or has no link")
        raw = data[at : at + 92] + (data[at + 93 : at + 125] if data[at + 92] else sha256(raws[-1]).digest())
        raws.append(raw + crc32c(raw).to_bytes(4, "little"))
        at += 125 if data[at + 92] else 93
        records.append(record(raws[-1]))
        need(all(records[-1][name] == head[name] for name in ("school", "terminal", "epoch")), "another's record")
        need(records[-1]["sequence"] == head["first"] + len(raws) - 1, "a gap")
    meals, back = ([one["price"] for one in records if one["kind"] == kind] for kind in (2, 4))
    need(at == len(data) and root(raws) == head["root"], "other records than were signed")
    need((len(meals), len(back), sum(meals) - sum(back)) == (head["meals"], head["reversals"], head["sum"]), "totals")
    return records


def proof_of(text, key=None):
    told = json.loads(text)
    raw, head = bytes.fromhex(told["record"]), statement(bytes.fromhex(told["header"]), *BATCH, key)
    one = record(raw)
    index, last, node = one["sequence"] - head["first"], head["count"] - 1, sha256(b"\0" + raw).digest()
    need(told["format"] == "edusense-proof-1" and 0 <= index <= last, "no proof, or of another batch")
    need(all(one[name] == head[name] for name in ("school", "terminal", "epoch")), "of another batch")
    for step in map(bytes.fromhex, told["path"]):
        need(last > 0, "the path is too long")
        if index % 2 or index == last:
            node = sha256(b"\1" + step + node).digest()
            while index and not index % 2:
                index, last = index // 2, last // 2
        else:
            node = sha256(b"\1" + node + step).digest()
        index, last = index // 2, last // 2
    need(last == 0 and node == head["root"], "the path does not lead to the signed root")
    return one


def main(arguments):
    key, wrong = bytes.fromhex(arguments.pop(arguments.index("--key") + 1)) if "--key" in arguments else None, 0
    for path in (Path(one) for one in arguments if one != "--key"):
        try:
            found = ledger(path) if path.is_dir() else CHECKS[path.suffix](path.read_bytes(), key)
            print(f"{path}: holds:", f"{len(found)} records" if isinstance(found, list) else found)
        except (OSError, ValueError, KeyError, TypeError, struct.error) as error:
            wrong = print(f"{path}: WRONG: {error}") or 1
    return wrong


CHECKS = {".edbatch": batch, ".seal": seal, ".json": proof_of, ".edack": lambda raw, *key: statement(raw, *ACK, *key)}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
