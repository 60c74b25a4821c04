"""RIST, the Reliable Internet Stream Transport (VSF TR-06): Simple profile.

``options``     every knob, as keywords and as URL parameters
``events``      what may happen to a session, as values
``wire``        bytes to values and back, one file per packet
``core``        the rules: recovery, playout, retransmission, reports; pure, and the same for every profile
``statistics``  frozen snapshots of a session's counters, in our words and in libRIST's
``api``         senders and receivers as trio streams
"""
