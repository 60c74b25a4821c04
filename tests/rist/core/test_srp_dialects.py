from __future__ import annotations

from itertools import product

from terzetto.crypto.srp import PADDED, UNPADDED, ZERO_STATE
from terzetto.rist.core.srp_dialects import ATTEMPTS, SrpDialects


def test_client_and_server_meet_within_the_attempts_wherever_each_begins() -> None:
    for client_first, server_first in product((PADDED, UNPADDED), repeat=2):
        client, server = SrpDialects().preferring(client_first), SrpDialects().preferring(server_first)
        assert any(
            client.for_client(3, failures) is server.for_server(3, failures) for failures in range(ATTEMPTS)
        )


def test_a_peer_that_never_changes_is_met_within_the_attempts() -> None:
    for version, fixed in ((3, PADDED), (3, UNPADDED), (2, ZERO_STATE), (2, UNPADDED)):
        ours = SrpDialects()
        assert fixed in [ours.for_client(version, failures) for failures in range(ATTEMPTS)]
        assert fixed in [ours.for_server(version, failures) for failures in range(ATTEMPTS)]


def test_a_version_without_dialects_is_not_spoken() -> None:
    assert SrpDialects((PADDED,), ()).for_client(2, 0) is None
    assert SrpDialects((), (ZERO_STATE,)).for_server(3, 0) is None


def test_a_preferred_dialect_goes_first_where_it_is_spoken_at_all() -> None:
    assert SrpDialects().preferring(UNPADDED) == SrpDialects((UNPADDED, PADDED), (UNPADDED, ZERO_STATE))
    pinned = SrpDialects((PADDED,), ())
    assert pinned.preferring(UNPADDED) == pinned
