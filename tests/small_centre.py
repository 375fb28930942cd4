"""A small operations centre, by the contract's page and not by the virtual one; and what it can be made to do wrong."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from edusense.alerts.signing import SignatureError, verify

USER, SECRET, SCHOOL = "box-51", "what both sides know, é", "school-51"
HEAD_LIES = 7


class SmallCentre:
    """Serves from entering to leaving.

    Args:
        wrong: what it does wrong.
        signed: whether boxes have to sign.
    """

    def __init__(self, *wrong: str, signed: bool = True) -> None:
        self.wrong, self.signed = set(wrong), signed
        self.messages: dict[str, Any] = {}
        self.files: dict[str, bytes] = {}
        self.spoilt: set[str] = set()
        self.given: list[dict[str, Any]] = [
            {"id": f"a{number}", "case": "hall-1", "answer": "seen", "by": "ЦОУ"} for number in range(3)
        ]
        self.asked = 0
        centre = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, headers, told = centre.answer(self.command, self.path, self.headers, body)
                content = b"" if told is None or self.command == "HEAD" else json.dumps(told).encode()
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(content))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_PATCH = do_HEAD = do_GET = do  # noqa: N815 - http.server's names

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/alerts"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, target: str, headers: Any, body: bytes) -> tuple[int, dict[str, str], Any]:
        """Status, headers and JSON of an answer."""
        if "hangs" in self.wrong:
            time.sleep(3)
        if "moved" in self.wrong:
            return 307, {"Location": "https://elsewhere.example/"}, None
        kind = urlsplit(target).path.removeprefix("/alerts").split("/")[1:2] or ["message"]
        unsigned = "Signature" not in headers and f"unsigned-{kind[0]}-{method}" in self.wrong
        if self.signed and "signature" not in self.wrong and not unsigned:
            try:
                _, created = self.verified(method, target, {**headers}, body)
            except SignatureError as error:
                return 401, {}, {"message": str(error)}
            if "clock" in self.wrong and abs(created - time.time()) > 300:
                return 403, {}, {"message": "signed too long ago"}
        path = urlsplit(target).path.removeprefix("/alerts")
        if path in ("", "/heartbeat"):
            return self.told(path, body)
        if path == "/answers":
            return self.answers(parse_qs(urlsplit(target).query))
        return self.file(method, path, headers, body)

    def verified(self, method: str, target: str, headers: dict[str, str], body: bytes) -> tuple[str, int]:
        secrets = {USER: SECRET.encode()}
        if "nobody" in self.wrong and USER not in headers.get("Signature-Input", ""):
            return "somebody", int(time.time())
        if "path" in self.wrong:
            target = target.replace("/clip", "/still")
        if "length" in self.wrong and "Upload-Length" in headers:
            headers["Upload-Length"] = "2000"
        return verify(method, target, headers, body, secrets=secrets)

    def told(self, path: str, body: bytes) -> tuple[int, dict[str, str], Any]:
        try:
            told = json.loads(body)
            if not isinstance(told, dict):
                raise ValueError
        except ValueError:
            wrong = self.wrong & {"json", "json-heartbeat" if path else "json-message"}
            wrong |= self.wrong & {"json-list"} if body[:1] == b"[" else set()
            return (500 if wrong else 400), {}, {"message": "no JSON object"}
        if self.signed and told["school"]["id"] != SCHOOL and not self.wrong & {"school", f"school{path}"}:
            return 403, {}, {"message": "another school"}
        key = told["key"]
        if path:
            newest = self.messages.get("heartbeat", told)
            if told["at_s"] < newest["at_s"] and "old-heartbeat" in self.wrong:
                return 422, {}, {"message": "too old"}
            self.messages["heartbeat"] = max(told, newest, key=lambda one: one["at_s"])
            return 200, {}, {} if "heartbeat-key" in self.wrong else {"key": key}
        if key in self.messages and "known" in self.wrong:
            return 409, {}, {"message": "known"}
        if told["sequence"] > 3 and "gap" in self.wrong:
            return 409, {}, {"message": "number 4 is missing"}
        self.messages[key] = told
        if "another-key" in self.wrong:
            return 200, {}, {"key": "k/1"}
        return 200, {}, {"ok": True} if "key" in self.wrong else {"key": key}

    def file(self, method: str, path: str, headers: Any, body: bytes) -> tuple[int, dict[str, str], Any]:
        have = self.files.get(path, b"")
        if method == "HEAD":
            if ("head" in self.wrong and have) or ("head-whole" in self.wrong and len(have) > 1500):
                return 200, {"Upload-Offset": str(HEAD_LIES)}, None
            if not have:
                return (200, {"Upload-Offset": "9"}, None) if "still" in self.wrong else (404, {}, None)
            return 200, {"Upload-Offset": str(len(have))}, None
        offset, length = int(headers["Upload-Offset"]), int(headers["Upload-Length"])
        if len(body) > 100_000 and "small" in self.wrong:
            return 413, {}, {"message": "too much"}
        if "offset" in self.wrong:
            offset = len(have)
        if "doubles" in self.wrong and have and offset < len(have):
            offset = len(have)  # it is put behind what is there
            length = offset + len(body)
        if "doubles-unsaid" in self.wrong and have and offset < len(have):
            self.spoilt.add(path)  # it counts right, and writes the piece a second time
            return 204, {"Upload-Offset": str(len(have))}, None
        if offset != len(have):
            where = 0 if "wrong-offset" in self.wrong else len(have)
            return 409, {} if "no-offset" in self.wrong else {"Upload-Offset": str(where)}, None
        have += body
        another = path in self.spoilt or hashlib.sha256(have).hexdigest() != headers["Upload-Sha256"]
        if len(have) >= length and another and not self.wrong & {"hash", "doubles"}:
            self.files.pop(path, None)
            return 422, {}, {"message": "another hash"}
        self.files[path] = have
        told = {} if "still-offset" in self.wrong else {"Upload-Offset": str(len(have) - ("less" in self.wrong))}
        return 204, told, None

    def answers(self, query: dict[str, list[str]]) -> tuple[int, dict[str, str], Any]:
        school = query.get("school", [""])[0]
        if not school and "no-school" not in self.wrong:
            return 400, {}, {"message": "whose?"}
        if self.signed and school and school != SCHOOL and not self.wrong & {"school", "school/answers"}:
            return 403, {}, {"message": "another school"}
        after, wait_s = int(query.get("after", ["0"])[0] or 0), float(query.get("wait", ["0"])[0])
        if "once" in self.wrong and not after:
            after, self.asked = (self.asked and len(self.given)), 1
        found = self.given[after:]
        if "endless" in self.wrong and not found:
            found = self.given[:1]
        if not found:
            longer_s = 30 if "waits" in self.wrong else 0.5 if "late" in self.wrong else 0
            time.sleep(wait_s + longer_s if longer_s and wait_s else min(wait_s, 0.3))
        if "slow" in self.wrong:
            time.sleep(0.5)
        if "by" in self.wrong:
            found = [{**one, "by": ""} for one in found]
        if "word" in self.wrong:
            found = [{**one, "answer": "eaten\x1b[31m"} for one in found]
        if "many" in self.wrong:
            found = [*found[:1]] * 1001
        cursor = {} if "no-cursor" in self.wrong else {"cursor": str(after + len(found))}
        if "repeats" in self.wrong:
            found = self.given
        return 200, {}, {"answers": found} | cursor
