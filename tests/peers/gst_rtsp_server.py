"""An RTSP server that is not ours, run by the system's Python; `gst_rtsp_server.py NAME=PIPELINE…` prints its port.

apt-get install gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-{base,good,bad,ugly}
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402 -- the versions must be chosen first

Gst.init(None)
server = GstRtspServer.RTSPServer()
server.set_service("0")
server.set_address("127.0.0.1")
for spec in sys.argv[1:]:
    name, pipeline = spec.split("=", 1)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(f"( {pipeline} )")
    factory.set_shared(True)
    server.get_mount_points().add_factory("/" + name, factory)
server.attach(None)
sys.stdout.write(f"{server.get_bound_port()}\n")
sys.stdout.flush()
GLib.MainLoop().run()
