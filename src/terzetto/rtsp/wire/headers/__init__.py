"""One RTSP header to a file: ``parse`` is lenient, ``str()`` is strict.

A header that cannot be understood raises `terzetto.errors.MalformedPacket`; whoever reads it decides whether that
matters.
"""
