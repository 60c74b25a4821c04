"""Debian's libsrt made a program of before 1.3.0: it says that it is 1.2.3, and which side sends.

Run with ``call`` or ``listen``, ``send`` or ``receive``, a port, a latency in ms, a passphrase or ``-``, and the bytes
in all. What it sends it reads from its standard input, chunk by chunk; what it receives goes to its standard output.

libsrt enters version 4 by itself where the peer speaks it; `tests.interop.test_srt_legacy` puts the one number that
says so into the listener's first answer on the way.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time

CHUNK = 1316
_LATENCY, _SENDER, _PASSPHRASE, _VERSION, _CONNECT_TIMEOUT = 23, 21, 26, 34, 36


class _Address(ctypes.Structure):
    _fields_ = (
        ("family", ctypes.c_uint16),
        ("port", ctypes.c_uint16),
        ("host", ctypes.c_uint8 * 4),
        ("zero", ctypes.c_uint8 * 8),
    )


def main() -> None:
    role, direction, port, latency, passphrase, size = sys.argv[1:]
    srt = ctypes.CDLL("libsrt-gnutls.so.1.5")
    srt.srt_startup()
    srt.srt_setloglevel(2)

    def check(result: int, what: str) -> int:
        if result < 0:
            srt.srt_getlasterror_str.restype = ctypes.c_char_p
            sys.exit(f"{what}: {srt.srt_getlasterror_str().decode()}")
        return result

    def put(option: int, value: int) -> None:
        word = ctypes.c_int(value)
        check(srt.srt_setsockflag(socket, option, ctypes.byref(word), 4), f"option {option}")

    socket = check(srt.srt_create_socket(), "socket")
    put(_VERSION, 0x010203)
    put(_LATENCY, int(latency))
    put(_SENDER, direction == "send")
    put(_CONNECT_TIMEOUT, 10_000)
    if passphrase != "-":
        secret = passphrase.encode()
        check(srt.srt_setsockflag(socket, _PASSPHRASE, secret, len(secret)), "passphrase")
    address = _Address(2, int.from_bytes(int(port).to_bytes(2, "big"), sys.byteorder), (127, 0, 0, 1))
    if role == "call":
        check(srt.srt_connect(socket, ctypes.byref(address), ctypes.sizeof(address)), "connect")
    else:
        check(srt.srt_bind(socket, ctypes.byref(address), ctypes.sizeof(address)), "bind")
        check(srt.srt_listen(socket, 1), "listen")
        socket = check(srt.srt_accept(socket, None, None), "accept")
    buffer = ctypes.create_string_buffer(1500)
    done = 0
    while done < int(size):
        if direction == "send":
            chunk = sys.stdin.buffer.read(CHUNK)
            check(srt.srt_sendmsg(socket, chunk, len(chunk), -1, 1), "send")
            time.sleep(0.001)
            done += len(chunk)
        else:
            got = check(srt.srt_recvmsg(socket, buffer, len(buffer)), "receive")
            sys.stdout.buffer.write(buffer.raw[:got])
            done += got
    sys.stdout.buffer.flush()
    while True:  # whoever started us ends us when all has arrived; repeats go on until then
        if direction == "send":
            srt.srt_sendmsg(socket, bytes(CHUNK), CHUNK, -1, 1)
        time.sleep(0.02)
        if os.getppid() == 1:
            return


if __name__ == "__main__":
    main()
