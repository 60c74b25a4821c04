"""A gst-rtsp-server for tests: run by the system's Python, which has GStreamer's bindings.

Prints its port when it is ready. Mounts: ``/av`` live video and audio, ``/ts`` an MPEG transport stream,
``/replay`` sound with the header extension of ONVIF recordings, ``/record`` takes a publisher.
"""

from __future__ import annotations

import argparse

import gi  # type: ignore[import-not-found]

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstRtsp, GstRtspServer  # type: ignore[import-not-found]  # noqa: E402

VIDEO = "videotestsrc is-live=true ! video/x-raw,width=160,height=120,framerate=25/1"
AV = (
    f"( {VIDEO} ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25 ! rtph264pay name=pay0 pt=96"
    " audiotestsrc is-live=true ! audioconvert ! alawenc ! rtppcmapay name=pay1 pt=8 )"
)
TS = f"( {VIDEO} ! x264enc tune=zerolatency speed-preset=ultrafast ! mpegtsmux ! rtpmp2tpay name=pay0 pt=33 )"
# The moment that the recording of /replay claims to be of, in nanoseconds since 1900.
ONVIF = (
    "( audiotestsrc is-live=true ! audio/x-raw,rate=8000,channels=1 ! alawenc ! rtppcmapay pt=8"
    " ! rtponviftimestamp ntp-offset=3976214400000000000 set-e-bit=true name=pay0 )"
)
RECORD = "( rtph264depay name=depay0 ! fakesink )"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--protocols", default="udp,tcp")
    parser.add_argument("--digest", action="store_true")
    parser.add_argument("--certificate")
    parser.add_argument("--srtp", action="store_true")
    options = parser.parse_args()
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service("0")
    names = {
        "udp": GstRtsp.RTSPLowerTrans.UDP,
        "tcp": GstRtsp.RTSPLowerTrans.TCP,
        "multicast": GstRtsp.RTSPLowerTrans.UDP_MCAST,
    }
    protocols = GstRtsp.RTSPLowerTrans(0)
    for name in options.protocols.split(","):
        protocols |= names[name]
    for path, launch in (("/av", AV), ("/ts", TS), ("/replay", ONVIF), ("/record", RECORD)):
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(launch)
        factory.set_shared(True)
        factory.set_protocols(protocols)
        if options.srtp:
            factory.set_profiles(GstRtsp.RTSPProfile.SAVP)
        if path == "/record":
            factory.set_transport_mode(GstRtspServer.RTSPTransportMode.RECORD)
        if "multicast" in options.protocols:
            pool = GstRtspServer.RTSPAddressPool()
            pool.add_range("239.7.7.1", "239.7.7.9", 17000, 17100, 1)
            factory.set_address_pool(pool)
        if options.digest or options.certificate:
            permissions = GstRtspServer.RTSPPermissions()
            permissions.add_permission_for_role("user", "media.factory.access", True)
            permissions.add_permission_for_role("user", "media.factory.construct", True)
            factory.set_permissions(permissions)
        server.get_mount_points().add_factory(path, factory)
    if options.digest or options.certificate:
        auth = GstRtspServer.RTSPAuth()
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "user")
        if options.digest:
            auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
            auth.add_digest("me", "secret", token)
        else:
            auth.set_default_token(token)
        if options.certificate:
            auth.set_tls_certificate(Gio.TlsCertificate.new_from_file(options.certificate))
        server.set_auth(auth)
    server.attach(None)
    print(server.get_bound_port(), flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
