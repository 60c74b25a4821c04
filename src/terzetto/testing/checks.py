"""Conformance checks, for our own parts and for those of users who write their own.

``check_endpoint``  puts a datagram endpoint through the promises of `terzetto.net.endpoint`
``check_core``      puts a protocol core through the grammar of `terzetto.driver.contract`
"""

from terzetto.testing.core_checks import check_core
from terzetto.testing.endpoint_checks import OpenPair, check_endpoint
from terzetto.testing.promises import PromiseBroken

__all__ = ["OpenPair", "PromiseBroken", "check_core", "check_endpoint"]
