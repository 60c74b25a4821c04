"""Accept: the kinds of description that a client understands."""

from __future__ import annotations

from collections.abc import Sequence

from terzetto.rtsp.wire.headers.comma_list import split_commas

__all__ = ["accepts"]


def accepts(values: Sequence[str], kind: str) -> bool:
    """Whether *kind*, ``application/sdp`` for instance, is welcome; without the header everything is.

    A range (``application/*``) counts like what lies in it. What has a quality of zero is not wanted, unless something
    else in the list covers it.
    """
    ranges = split_commas(values)
    if not ranges:
        return True
    fitting = {kind, f"{kind.partition('/')[0]}/*", "*/*", "*"}
    return any(_kind_of(each) in fitting and not _is_unwanted(each) for each in ranges)


def _kind_of(media_range: str) -> str:
    return media_range.partition(";")[0].strip().lower()


def _is_unwanted(media_range: str) -> bool:
    for parameter in media_range.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            return not value.strip().strip("0.")
    return False
