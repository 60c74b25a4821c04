from __future__ import annotations

from hashlib import sha1

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terzetto.crypto.srp import (
    PADDED,
    UNPADDED,
    ZERO_STATE,
    SrpClient,
    SrpDialect,
    SrpServer,
    make_verifier,
)
from terzetto.crypto.srp_group import DEFAULT_GROUP, RFC_5054_1024, SrpError, SrpGroup

USER, PASSWORD = b"rist", b"mainprofile"
SALT = bytes.fromhex("72F9D5383B7EB7599FB63028F47475B60A55F313D40E0BE023E026C97C0A2C32")
A_PRIVATE = bytes.fromhex("138AB4045633AD14961CB1AD0720B1989104151C0708794491113302CCCC27D5")
B_PRIVATE = bytes.fromhex("ED0D58FF861A1FC75A0829BEA5F1392D2B13AB2B05CBCD6ED1E71AAAD761E856")

# TR-06-2, Annex D.9; far too small to be accepted from a peer.
ANNEX_D_GROUP = SrpGroup(
    int(
        "D66AAFE8E245F9AC245A199F62CE61AB8FA90A4D80C71CD2ADFD0B9DA163B29F"
        "2A34AFBDB3B1B5D0102559CE63D8B6E86B0AA59C14E79D4AA62D1748E4249DF3",
        16,
    ),
    2,
)

# Of each dialect: v and B (their ends), K, M1, M2, as libRIST's own tests have them.
LIBRIST: dict[str, tuple[SrpDialect, str, str, str, str, str]] = {
    "padded": (
        PADDED,
        "16b380409c1d6a43a96b42dd0fac130d..cbea5144aa2ac31b9865ceacf3ba2a72",
        "461f82db9bbd64dd580800c38b854437..2dd87f9524f1d5746e93d9a8fff53626",
        "0e7822b56248ffe74d0a4639bd7194e848df0e590a5d9ad414021ee7fab360a8",
        "2ee41138d2c447e7469eb589b89cf96faf869b55dd684897dab173056f1d8f90",
        "28e0412112cd83ddc97b3395ab0d27f5c0a1eb4fa89205cd505957f53988a639",
    ),
    "unpadded": (
        UNPADDED,
        "16b380409c1d6a43a96b42dd0fac130d..cbea5144aa2ac31b9865ceacf3ba2a72",
        "a984cad3125df1f00778105f4b81ba91..ffe5b5144d48e4a90f9e73f93cb377f5",
        "6fb2ba5ab55252e263c35ebba0e04f912f167972fe9d45566cfe7cbc7e513713",
        "3ae51f41650a499d053a7f2c15dbc94878bafcb60ffd93e2a632bbb815cf82ee",
        "8a99f1cb6e34bfc1f56e57f92c191b5622aedfcac2e0f3fd5f91c2b2f5a26af7",
    ),
    "zero-state": (
        ZERO_STATE,
        "8a5f1d5a055c15889711054e7e3ba993..21b66d55879004dfc510fc4b33eebb08",
        "54a8d9706599643407eb4bf262d0b298..3fa1337da9a55d2e7166e099cdfc7c60",
        "d127baac5846bf95cac0d42f93daf3d03cc2db4d509243e14d4c7930b9c6a7e9",
        "f4ceb5b82455c4372e6f23020d7bbc63889b5a6cf5853e8263e54fa8d879fe75",
        "0eda33533dacebe2aeb6904b4dff4731c7c30b3de76faeb0306fdf0266c39882",
    ),
}
ANNEX_D: dict[str, tuple[SrpDialect, str, str, str]] = {
    "zero-state, as printed in D.9": (
        ZERO_STATE,
        "771a81c5888b81ba1be71c8250ec1cc2a3ba67555364f4603260be65099c5b97",
        "ebfc2d79beb3cbf7ba83c27e2b51524f8cd3f3b2c4804815ad2516d465df80c9",
        "fb14d73b5acbba101e5a799f80ebcbb43d83890e23ded979110eeff109c0441a",
    ),
    "padded": (
        PADDED,
        "e50598acf5d8394fdb6e895ece5c5a2ef0bf55601c4d951d7a40a27dbe743c57",
        "5ceab8c19573341ca569310326fa06139241f0f3322aa6ae2027124c58c399a3",
        "3624ffd8d7a05460872fe957fe7fc53f82f3dd9495172e37a71745ae301ee9c9",
    ),
    "unpadded": (
        UNPADDED,
        "d2270ab6b54f80d246e474f8dd76fc7deca3f49fbdf419e082dc989b38608c34",
        "e28147c801bab9c37647c1ff4a29fa720e3f5676434fb85ea9a752cc1f9b1ad4",
        "84f19797916fbdcab1321ca78b575b145b586150248afaa156361b8bcb139b32",
    ),
}


def ends(data: bytes) -> str:
    return f"{data[:16].hex()}..{data[-16:].hex()}"


def login(
    dialect: SrpDialect,
    group: SrpGroup = DEFAULT_GROUP,
    *,
    client_dialect: SrpDialect | None = None,
    password: bytes = PASSWORD,
) -> tuple[SrpClient, SrpServer, bytes]:
    """Both sides up to the client's proof."""
    verifier = make_verifier(USER, PASSWORD, SALT, dialect=dialect, group=group)
    server = SrpServer(USER, verifier, SALT, private=B_PRIVATE, dialect=dialect, group=group)
    client = SrpClient(
        USER, password, SALT, private=A_PRIVATE, dialect=client_dialect or dialect, group=group
    )
    server.take_client_key(client.public_key)
    return client, server, client.prove(server.public_key)


@pytest.mark.parametrize("name", LIBRIST)
def test_librists_vectors_in_the_default_group(name: str) -> None:
    dialect, verifier, server_key, key, client_proof, server_proof = LIBRIST[name]
    v = make_verifier(USER, PASSWORD, SALT, dialect=dialect)
    assert ends(v.to_bytes(256, "big")) == verifier
    client, server, proof = login(dialect)
    assert ends(client.public_key) == "545dd89cd403ba71172016f156a537a2..0039a03d60d739fcd7bb335cbb3af39a"
    assert ends(server.public_key) == server_key
    assert client.session_key.hex() == server.session_key.hex() == key
    assert proof.hex() == client_proof
    assert server.accepts(proof)
    assert server.proof.hex() == server_proof
    assert client.accepts(server.proof)


@pytest.mark.parametrize("name", ANNEX_D)
def test_the_vectors_of_annex_d_in_its_small_group(name: str) -> None:
    dialect, key, client_proof, server_proof = ANNEX_D[name]
    client, server, proof = login(dialect, ANNEX_D_GROUP)
    assert client.session_key.hex() == server.session_key.hex() == key
    assert proof.hex() == client_proof
    assert server.accepts(proof)
    assert server.proof.hex() == server_proof


def test_the_vectors_of_rfc_5054_appendix_b() -> None:
    def digest(data: bytes) -> bytes:
        return sha1(data, usedforsecurity=False).digest()

    dialect = SrpDialect("RFC 5054", padded=True, credential_digest=digest, digest=digest)
    salt = bytes.fromhex("BEB25379D1A8581EB5A727673A2441EE")
    v = make_verifier(b"alice", b"password123", salt, dialect=dialect, group=RFC_5054_1024)
    assert v == int(
        "7E273DE8696FFC4F4E337D05B4B375BEB0DDE1569E8FA00A9886D8129BADA1F1822223CA1A605B530E379BA4729FDC59"
        "F105B4787E5186F5C671085A1447B52A48CF1970B4FB6F8400BBF4CEBFBB168152E08AB5EA53D15C1AFF87B2B9DA6E04"
        "E058AD51CC72BFC9033B564E26480D78E955A5E29E7AB245DB2BE315E2099AFB",
        16,
    )
    server = SrpServer(
        b"alice",
        v,
        salt,
        private=bytes.fromhex("E487CB59D31AC550471E81F00F6928E01DDA08E974A004F49E61F5D105284D20"),
        dialect=dialect,
        group=RFC_5054_1024,
    )
    client = SrpClient(
        b"alice",
        b"password123",
        salt,
        private=bytes.fromhex("60975527035CF2AD1989806F0407210BC81EDC04E2762A56AFD529DDDA2D4393"),
        dialect=dialect,
        group=RFC_5054_1024,
    )
    assert client.public_key.hex().upper() == (
        "61D5E490F6F1B79547B0704C436F523DD0E560F0C64115BB72557EC44352E8903211C04692272D8B2D1A5358A2CF1B6E"
        "0BFCF99F921530EC8E39356179EAE45E42BA92AEACED825171E1E8B9AF6D9C03E1327F44BE087EF06530E69F66615261"
        "EEF54073CA11CF5858F0EDFDFE15EFEAB349EF5D76988A3672FAC47B0769447B"
    )
    assert server.public_key.hex().upper() == (
        "BD0C61512C692C0CB6D041FA01BB152D4916A1E77AF46AE105393011BAF38964DC46A0670DD125B95A981652236F99D9"
        "B681CBF87837EC996C6DA04453728610D0C6DDB58B318885D7D82C7F8DEB75CE7BD4FBAA37089E6F9C6059F388838E7A"
        "00030B331EB76840910440B1B27AAEAEEB4012B7D7665238A8E3FB004B117B58"
    )
    premaster = bytes.fromhex(
        "B0DC82BABCF30674AE450C0287745E7990A3381F63B387AAF271A10D233861E359B48220F7C4693C9AE12B0A6F67809F"
        "0876E2D013800D6C41BB59B6D5979B5C00A172B4A2A5903A0BDCAF8A709585EB2AFAFA8F3499B200210DCC1F10EB3394"
        "3CD67FC88A2F39A4BE5BEC4EC0A3212DC346D7E474B29EDE8A469FFECA686E5A"
    )
    server.take_client_key(client.public_key)
    assert server.accepts(client.prove(server.public_key))
    assert client.session_key == server.session_key == digest(premaster)


@pytest.mark.parametrize("dialect", [PADDED, UNPADDED, ZERO_STATE], ids=lambda dialect: dialect.name)
def test_a_wrong_password_proves_nothing(dialect: SrpDialect) -> None:
    client, server, proof = login(dialect, password=b"Mainprofile")
    assert not server.accepts(proof, also=(PADDED, ZERO_STATE))
    assert not client.accepts(server.proof)
    assert not client.accepts(b"")


def test_peers_of_different_padding_do_not_understand_each_other() -> None:
    _, server, proof = login(PADDED, client_dialect=UNPADDED)
    assert not server.accepts(proof, also=(UNPADDED, ZERO_STATE))


def test_a_proof_in_another_digest_is_accepted_where_allowed_and_answered_in_kind() -> None:
    # Two builds of libRIST 0.2.7 that share a verifier file: the verifier is of one, the client of the other.
    verifier = make_verifier(USER, PASSWORD, SALT, dialect=UNPADDED)
    server = SrpServer(USER, verifier, SALT, private=B_PRIVATE, dialect=ZERO_STATE)
    client = SrpClient(USER, PASSWORD, SALT, private=A_PRIVATE, dialect=UNPADDED)
    server.take_client_key(client.public_key)
    proof = client.prove(server.public_key)
    assert not server.accepts(proof)
    assert server.accepts(proof, also=(UNPADDED,))
    assert client.accepts(server.proof)


MODULUS = DEFAULT_GROUP.modulus.to_bytes(256, "big")


@pytest.mark.parametrize("key", [b"", b"\0", bytes(256), MODULUS, bytes(257), b"\x01" * 257])
def test_degenerate_public_keys_end_the_login_on_either_side(key: bytes) -> None:
    client = SrpClient(USER, PASSWORD, SALT, private=A_PRIVATE, dialect=PADDED)
    server = SrpServer(USER, 5, SALT, private=B_PRIVATE, dialect=PADDED)
    with pytest.raises(SrpError):
        client.prove(key)
    with pytest.raises(SrpError):
        server.take_client_key(key)
    assert not server.accepts(bytes(32))
    assert not client.accepts(bytes(32))


@pytest.mark.parametrize("salt", [b"", bytes(65)])
def test_a_salt_of_impossible_length_is_refused(salt: bytes) -> None:
    with pytest.raises(SrpError, match="salt"):
        SrpClient(USER, PASSWORD, salt, private=A_PRIVATE, dialect=PADDED)
    with pytest.raises(SrpError, match="salt"):
        SrpServer(USER, 5, salt, private=B_PRIVATE, dialect=PADDED)


def test_a_verifier_of_zero_is_refused() -> None:
    with pytest.raises(SrpError, match="verifier"):
        SrpServer(USER, DEFAULT_GROUP.modulus, SALT, private=B_PRIVATE, dialect=PADDED)


def test_a_scrambler_of_zero_is_refused() -> None:
    zeros = SrpDialect(
        "broken", padded=True, credential_digest=lambda _: bytes(32), digest=lambda _: bytes(32)
    )
    client = SrpClient(USER, PASSWORD, SALT, private=A_PRIVATE, dialect=zeros)
    with pytest.raises(SrpError, match="scrambler"):
        client.prove(b"\x02")


def test_a_short_private_exponent_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="31"):
        SrpClient(USER, PASSWORD, SALT, private=bytes(31), dialect=PADDED)


def test_secrets_stay_out_of_the_repr() -> None:
    assert "mainprofile" not in repr(SrpClient(USER, PASSWORD, SALT, private=A_PRIVATE, dialect=PADDED))


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from([PADDED, UNPADDED, ZERO_STATE]),
    st.binary(max_size=40),
    st.binary(max_size=40),
    st.binary(min_size=1, max_size=64),
    st.binary(min_size=32, max_size=32),
    st.binary(min_size=32, max_size=32),
)
def test_whoever_shares_a_password_shares_a_key(
    dialect: SrpDialect, user: bytes, password: bytes, salt: bytes, a: bytes, b: bytes
) -> None:
    group = RFC_5054_1024
    verifier = make_verifier(user, password, salt, dialect=dialect, group=group)
    server = SrpServer(user, verifier, salt, private=b, dialect=dialect, group=group)
    client = SrpClient(user, password, salt, private=a, dialect=dialect, group=group)
    server.take_client_key(client.public_key)
    assert server.accepts(client.prove(server.public_key))
    assert client.accepts(server.proof)
    assert client.session_key == server.session_key
