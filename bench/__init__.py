"""Benchmarks against the C tools that people use today; ``python -m bench`` is the one command.

``cases``       what to measure: peers and their command lines, from ``peers.toml``
``run``         one measured run: source, sender, receiver, sink
``child``       processes we start, and what they cost
``machine``     sockets, processors and C tools of this machine
``result``      one run's figures as a line of JSON
``ladder``      the highest rate that a pair carries
``table``       medians as Markdown

Linux only (``/proc``, UDP GSO, ``recvmmsg``), with a C compiler for the source and the sink. Everything runs on
127.0.0.1.
"""
