"""The rules of RIST, as small machines that own no clock, socket or randomness.

Inward of the translator (``simple``) everything speaks the values of ``vocabulary``, so nothing here but the
translator knows which profile is on the wire::

    receiver   = association + source_clock + playout + missing + sizing + round_trip + reports
    sender     = association + history + repeats + tail_probe + round_trip + reports
"""
