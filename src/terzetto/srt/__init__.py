"""SRT: live media over UDP with timestamps, retransmission and encryption, as libsrt speaks it."""
