"""Whole UDP payloads as libsrt 1.2.3 put them on the wire, captured on loopback; the passphrase is ``PASSPHRASE``."""

from __future__ import annotations

__all__ = ["CLEAR_TEXT", "LEGACY_VECTORS", "PASSPHRASE"]

PASSPHRASE = "correct-horse"

CLEAR_TEXT = [
    bytes.fromhex("cd072cd8be6f9f62ac4c09c28206e7e35594aa6b342f5d0a3a5e4842"),
    bytes.fromhex("f5b165224a58b791df6af1d8303e61cdc4bb86c3d1c427103c344c41"),
]
"""What its first two data packets say under the key that it tells after them."""

LEGACY_VECTORS: dict[str, bytes] = {
    name: bytes.fromhex(digits)
    for name, digits in {
        "sender induction": (
            "800000000000000000000115000000000000000400000002440c88ef000005dc000020000000000115f63d0400000000"
            "0100007f000000000000000000000000"
        ),
        "sender conclusion": (
            "800000000000000000007c37000000000000000400000002440c88ef000005dc00002000ffffffff15f63d04e973f899"
            "0100007f000000000000000000000000"
        ),
        "sender HSREQ": "ffff00010000000000104aa52feaed6e0001020300000025000002bc",
        "sender first data packet": (
            "440c88efc800000100104a252feaed6e8d6207b493525687e747b4752f1eb854e1b049cc59c06581d7749731"
        ),
        "sender second data packet": (
            "440c88f0c8000002001055352feaed6ec740d658e0fcaf04dd35194fd90dcc989ad0af2383cf8c62045703c6"
        ),
        "sender KMREQ": (
            "ffff0003000000000010c6f42feaed6e122029010000000002000200000004048e4e21116383080d04a375d2ae704614"
            "3054e91f2f305addea4ecc49e3f1ce629359062ac84d086a"
        ),
        "receiver induction response": (
            "80000000000000000009d9560e9f5b9e00000004000000020f2e578b000005dc00002000000000010e9f5b9eb079d12f"
            "0100007f000000000000000000000000"
        ),
        "receiver conclusion response": (
            "8000000000000000000008580e9f5b9e00000004000000020f2e578b000005dc00002000ffffffff0602177fb079d12f"
            "0100007f000000000000000000000000"
        ),
        "receiver HSRSP": "ffff0002000000000000ae3b0e9f5b9e000102030000003e000002bc",
    }.items()
}
