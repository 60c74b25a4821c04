"""Methods, status codes and their phrases."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

__all__ = ["METHODS", "REASONS", "Status", "is_redirect", "is_success", "reason_of"]

METHODS: Final = (
    "OPTIONS",
    "DESCRIBE",
    "ANNOUNCE",
    "SETUP",
    "PLAY",
    "PAUSE",
    "RECORD",
    "TEARDOWN",
    "GET_PARAMETER",
    "SET_PARAMETER",
    "REDIRECT",
)


class Status(IntEnum):
    """The status codes that we send or act on."""

    CONTINUE = 100
    OK = 200
    CREATED = 201
    LOW_STORAGE = 250
    MOVED_PERMANENTLY = 301
    MOVED_TEMPORARILY = 302
    SEE_OTHER = 303
    USE_PROXY = 305
    BAD_REQUEST = 400
    UNAUTHORIZED = 401
    FORBIDDEN = 403
    NOT_FOUND = 404
    METHOD_NOT_ALLOWED = 405
    NOT_ACCEPTABLE = 406
    REQUEST_TIMEOUT = 408
    GONE = 410
    BODY_TOO_LARGE = 413
    URI_TOO_LONG = 414
    UNSUPPORTED_MEDIA_TYPE = 415
    PARAMETER_NOT_UNDERSTOOD = 451
    NOT_ENOUGH_BANDWIDTH = 453
    SESSION_NOT_FOUND = 454
    METHOD_NOT_VALID_IN_STATE = 455
    HEADER_FIELD_NOT_VALID = 456
    INVALID_RANGE = 457
    AGGREGATE_NOT_ALLOWED = 459
    ONLY_AGGREGATE_ALLOWED = 460
    UNSUPPORTED_TRANSPORT = 461
    DESTINATION_UNREACHABLE = 462
    KEY_MANAGEMENT_FAILURE = 463
    INTERNAL_ERROR = 500
    NOT_IMPLEMENTED = 501
    SERVICE_UNAVAILABLE = 503
    VERSION_NOT_SUPPORTED = 505
    OPTION_NOT_SUPPORTED = 551


REASONS: Final[Mapping[int, str]] = {
    100: "Continue",
    200: "OK",
    201: "Created",
    250: "Low on Storage Space",
    301: "Moved Permanently",
    302: "Moved Temporarily",
    303: "See Other",
    305: "Use Proxy",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    408: "Request Timeout",
    410: "Gone",
    413: "Request Entity Too Large",
    414: "Request-URI Too Long",
    415: "Unsupported Media Type",
    451: "Parameter Not Understood",
    453: "Not Enough Bandwidth",
    454: "Session Not Found",
    455: "Method Not Valid In This State",
    456: "Header Field Not Valid",
    457: "Invalid Range",
    459: "Aggregate Operation Not Allowed",
    460: "Only Aggregate Operation Allowed",
    461: "Unsupported Transport",
    462: "Destination Unreachable",
    463: "Key Management Failure",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "RTSP Version Not Supported",
    551: "Option Not Supported",
}


def reason_of(code: int) -> str:
    """The specification's phrase for *code*."""
    return REASONS.get(code, "Unknown")


def is_success(code: int) -> bool:
    """Whether the request was granted; RFC 2326 has 201 and 250 beside 200."""
    return 200 <= code < 300


def is_redirect(code: int) -> bool:
    """Whether the answer sends us elsewhere; 304 does not."""
    return code in (301, 302, 303, 305)
