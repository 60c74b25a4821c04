"""DTLS 1.2 with OpenSSL's own programs, in both roles."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import attrs
import pytest
import trio

from terzetto.errors import AuthenticationFailed
from terzetto.net.dtls import CipherSuite, DtlsEndpoint, DtlsOptions, wrap_endpoint
from terzetto.net.endpoint import Address, EndpointOptions, Run
from terzetto.net.udp import open_udp_endpoint
from tests.net.dtls.identities import Identity, make_identity

pytest.importorskip("OpenSSL", reason="needs pyOpenSSL (extra dtls)")

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl"),
]

AUTHORITY = make_identity("an authority", is_authority=True)
SERVER = make_identity("127.0.0.1", signed_by=AUTHORITY)
RSA_SERVER = make_identity("127.0.0.1", signed_by=AUTHORITY, is_rsa=True)
CLIENT = make_identity("a client", signed_by=AUTHORITY)

PATIENCE = 20


def files(folder: Path, identity: Identity) -> list[str]:
    """Options of OpenSSL's programs that show *identity* and trust the authority."""
    (folder / "cert.pem").write_bytes(identity.pem)
    (folder / "key.pem").write_bytes(identity.key_pem)
    (folder / "ca.pem").write_bytes(AUTHORITY.pem)
    return [
        *("-cert", str(folder / "cert.pem")),
        *("-key", str(folder / "key.pem")),
        *("-CAfile", str(folder / "ca.pem")),
    ]


def local_endpoint(port: int = 0) -> EndpointOptions:
    return EndpointOptions(local=Address("127.0.0.1", port), receive_buffer=200_000, send_buffer=200_000)


async def free_port() -> int:
    async with open_udp_endpoint(local_endpoint()) as endpoint:
        return endpoint.local_address.port


@asynccontextmanager
async def running(*arguments: str) -> AsyncIterator[trio.Process]:
    """``openssl`` with these arguments, ended when the block ends."""
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            run = partial(
                trio.run_process,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                check=False,
            )
            process = await nursery.start(run, ["openssl", *arguments])
            yield process
            nursery.cancel_scope.cancel()


async def says(process: trio.Process, text: bytes) -> bytes:
    """What a program has printed when *text* is in it."""
    assert process.stdout is not None
    printed = b""
    while text not in printed:
        part = await process.stdout.receive_some()
        assert part, f"it ended before it said {text!r}: {printed.decode()}"
        printed += part
    return printed


async def hears(endpoint: DtlsEndpoint, text: bytes) -> Run:
    """The run that brings *text*."""
    heard = b""
    while True:
        for run in await endpoint.receive():
            heard += b"".join(bytes(datagram) for datagram in run.datagrams)
            if text in heard:
                return run


async def call(port: int, **changes: object) -> DtlsEndpoint:
    options = attrs.evolve(DtlsOptions(ca=AUTHORITY.pem), **changes)  # type: ignore[arg-type]
    endpoint = wrap_endpoint(open_udp_endpoint(local_endpoint()), options, remote=Address("127.0.0.1", port))
    try:
        await endpoint.wait_established()
    except BaseException:
        endpoint.close()
        raise
    return endpoint


@pytest.mark.parametrize(
    "suite",
    [suite for suite in CipherSuite if suite is not CipherSuite.RSA_NULL_SHA256],
    ids=lambda suite: suite.name,
)
async def test_we_call_s_server_with_each_suite(tmp_path: Path, suite: CipherSuite) -> None:
    identity = SERVER if "ECDSA" in suite.name else RSA_SERVER
    port = await free_port()
    accept = ["s_server", "-dtls1_2", "-accept", f"127.0.0.1:{port}", "-mtu", "1400"]
    async with running(*accept, *files(tmp_path, identity)) as process:
        await says(process, b"ACCEPT")
        async with await call(port, cipher_suites=(suite,)) as endpoint:
            await endpoint.send([Run(Address("127.0.0.1", port), [b"from terzetto\n"])])
            printed = await says(process, b"from terzetto")
            assert suite.value.encode() in printed
            assert process.stdin is not None
            await process.stdin.send_all(b"from openssl\n")
            await hears(endpoint, b"from openssl")
        # Our goodbye ends the program's session.
        await says(process, b"DONE")


async def test_s_server_may_demand_cookies_and_our_certificate(tmp_path: Path) -> None:
    port = await free_port()
    accept = [
        "s_server",
        "-dtls1_2",
        "-listen",
        "-accept",
        f"127.0.0.1:{port}",
        "-Verify",
        "1",
        "-verify_return_error",
    ]
    async with running(*accept, *files(tmp_path, SERVER)) as process:
        await says(process, b"ACCEPT")
        async with await call(port, certificate=CLIENT.pem, private_key=CLIENT.key_pem, mtu=500) as endpoint:
            await endpoint.send([Run(Address("127.0.0.1", port), [b"from terzetto\n"])])
            await says(process, b"from terzetto")


async def test_we_refuse_s_server_without_the_right_certificate(tmp_path: Path) -> None:
    port = await free_port()
    accept = ["s_server", "-dtls1_2", "-accept", f"127.0.0.1:{port}"]
    async with running(*accept, *files(tmp_path, SERVER)) as process:
        await says(process, b"ACCEPT")
        with pytest.raises(AuthenticationFailed, match="fingerprint"):
            await call(port, fingerprints=(CLIENT.fingerprint,))
        await says(process, b"alert bad certificate")


async def test_we_serve_s_client_both_ways_and_hear_its_goodbye(tmp_path: Path) -> None:
    options = DtlsOptions(
        certificate=SERVER.pem, private_key=SERVER.key_pem, ca=AUTHORITY.pem, verify="mutual", mtu=600
    )
    with trio.fail_after(PATIENCE):
        async with wrap_endpoint(open_udp_endpoint(local_endpoint()), options) as endpoint:
            port = endpoint.local_address.port
            connect = ["s_client", "-dtls1_2", "-connect", f"127.0.0.1:{port}", "-verify_return_error"]
            async with running(*connect, *files(tmp_path, CLIENT)) as process:
                assert process.stdin is not None
                await process.stdin.send_all(b"from openssl\n")
                run = await hears(endpoint, b"from openssl")
                assert [peer.fingerprint for peer in endpoint.peers()] == [CLIENT.fingerprint]
                await endpoint.send([Run(run.peer, [b"from terzetto\n"])])
                await says(process, b"from terzetto")
                await process.stdin.send_all(b"Q\n")
                with trio.move_on_after(5):
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(endpoint.receive)
                        while endpoint.peers():  # noqa: ASYNC110
                            await trio.sleep(0.01)
                        nursery.cancel_scope.cancel()
                assert endpoint.peers() == []
