"""Each reason for which a caller may be refused, as the exception that its code meets."""

from __future__ import annotations

import pytest

from terzetto.errors import AuthenticationFailed, ConnectionRefusedByPeer, PeerTimedOut
from terzetto.srt.core.negotiation import RefusedError
from terzetto.srt.refusals import error_for_refusal
from terzetto.srt.wire.rejection import (
    ApplicationReason,
    RejectionReason,
    decode_rejection,
    describe_rejection,
)

REASONS = [*RejectionReason, *ApplicationReason, 2000, 4711]


@pytest.mark.parametrize("code", [code for code in REASONS if code != RejectionReason.TIMEOUT])
def test_every_reason_is_a_refusal_with_its_number_and_a_sentence(code: int) -> None:
    assert decode_rejection(1000 + code) == code
    error = error_for_refusal(
        RefusedError(code, describe_rejection(code)),
        "srt://192.0.2.1:9000",
        timeout=3.0,
        has_heard=True,
        troubles=[],
    )
    assert isinstance(error, ConnectionRefusedByPeer)
    assert error.code == code
    assert f"{describe_rejection(code)} ({code})" in str(error)
    secrets = (RejectionReason.BADSECRET, RejectionReason.UNSECURE, RejectionReason.CRYPTO)
    assert isinstance(error, AuthenticationFailed) is (code in secrets)


def test_no_reason_shares_its_sentence_with_another() -> None:
    sentences = [describe_rejection(code) for code in REASONS if code != 4711]
    assert len(set(sentences)) == len(sentences)


def test_silence_is_no_refusal() -> None:
    error = error_for_refusal(
        RefusedError(RejectionReason.TIMEOUT), "srt://h:1", timeout=3.0, has_heard=False, troubles=[]
    )
    assert isinstance(error, PeerTimedOut)
    assert not isinstance(error, ConnectionRefusedByPeer)
