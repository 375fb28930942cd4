"""The virtual link: what stays as it was while it is cut."""

from __future__ import annotations

import socket

import pytest

from edusense.errors import DeviceBusyError
from edusense.sim.link import VirtualLink


def test_its_port_is_nobody_elses_while_it_is_cut():
    with socket.create_server(("127.0.0.1", 0)) as behind, VirtualLink(behind.getsockname) as link:
        link.cut()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((link.host, link.port), timeout=5)
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind((link.host, link.port))
        link.mend()
        with socket.create_connection((link.host, link.port), timeout=5) as near:
            near.sendall(b"again")
            far, _ = behind.accept()
            with far:
                assert far.recv(5) == b"again"


def test_a_port_that_is_taken_is_told():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(DeviceBusyError, match="cannot be listened on"):
            VirtualLink(lambda: ("127.0.0.1", 9), port=other.getsockname()[1]).start()


def test_its_port_is_free_once_it_is_over():
    link = VirtualLink(lambda: ("127.0.0.1", 9)).start()
    link.stop()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((link.host, link.port))
        other.listen()
