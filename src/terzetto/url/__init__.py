"""Endpoint URLs into one description: ``rist:`` ``srt:`` ``rtsp:`` ``udp:`` ``rtp:`` ``file:`` and ``-``.

::

    scheme://[user[:password]@][@]host[:port][/path][?name=value&...]

A leading ``@``, or no host at all, means to listen (or to bind) rather than to call, for every scheme alike.
``file:PATH`` takes the path as it stands; ``-`` is standard input or output. Escapes (``%20``) are decoded in
user, password, path and query; ``+`` stays a plus, as in the tools whose URLs these are. Where a parameter is
given twice the later value wins, in the place of the first.

============  ==================================================================
`endpoint`    the description, and its printing with or without secrets
`parse`       reading a URL, with errors that name the part that is wrong
`query`       the typed reader by which options take their values from a URL
============  ==================================================================
"""

from __future__ import annotations

from terzetto.url.endpoint import KNOWN_SCHEMES, SECRET_NAMES, EndpointUrl
from terzetto.url.parse import parse_url
from terzetto.url.query import QueryReader

__all__ = ["KNOWN_SCHEMES", "SECRET_NAMES", "EndpointUrl", "QueryReader", "parse_url"]
