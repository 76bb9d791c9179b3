"""The program `openssl` as an outside judge of what charger and vehicle say on TLS."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import functools
import re
import shutil
import socket

import pytest
from support import until
from test_tls import car, station, tree

from certs import reading
from certs.curves import curve_of
from certs.pki import TestPki
from certs.profiles import Role
from iso15118.runtime.events import Disconnected
from iso15118.runtime.security import Security
from iso15118.tls.events import TlsEstablished, TlsFailed

OPENSSL = shutil.which("openssl")

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.runtime,
    pytest.mark.skipif(OPENSSL is None, reason="the program openssl is not here"),
]


@pytest.fixture(params=["secp521r1", "ed448"])
def files(request, tmp_path):
    """PEM and DER files of both sides, and the PKI they come from."""
    pki = tree(request.param)
    for name, identity, peer in (
        ("secc", pki.secc(), Role.VEHICLE),
        ("vehicle", pki.vehicle(), Role.SECC),
    ):
        identity.write(tmp_path / name, unencrypted=True)
        (tmp_path / name / "chain-only.pem").write_bytes(reading.pem(identity.certificates[1:]))
        (tmp_path / name / "trusted.pem").write_bytes(reading.pem(identity.roots_for(peer)))
    return tmp_path, request.param


def shown(folder):
    return [
        "-cert", folder / "chain.pem", "-key", folder / "key.pem", "-cert_chain", folder / "chain-only.pem",
        "-CAfile", folder / "trusted.pem",
    ]  # fmt: skip


async def openssl(*arguments, stdin=b"", within=10.0):
    """What the program prints, standard error included; its input ends after `stdin`."""
    process = await asyncio.create_subprocess_exec(
        OPENSSL,
        *(str(a) for a in arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(within):
        out, _ = await process.communicate(stdin)
    return out.decode(errors="replace")


async def client(charger, folder, *more):
    where = f"[{charger.address[0]}]:{charger.address[1]}"
    return await openssl("s_client", "-connect", where, *shown(folder), "-status", *more)


async def test_a_station_as_s_client_sees_it(files):
    folder, curve = files
    from certs import Identity

    async with station(Identity.load(folder / "secc")) as (charger, _, seen):
        text = await client(charger, folder / "vehicle", "-verify_return_error", "-groups", "P-521:X448")
        await until(lambda: seen.of(Disconnected))
    assert "New, TLSv1.3, Cipher is TLS_AES_256_GCM_SHA384" in text
    assert "Verify return code: 0 (ok)" in text
    assert re.search("Server Temp Key: .*", text).group() == "Server Temp Key: ECDH, secp521r1, 521 bits"
    assert "OCSP Response Status: successful" in text
    assert "Cert Status: good" in text
    algorithms = re.search(r"Requested Signature Algorithms: (.*)", text).group(1).lower()
    assert algorithms.replace(" ", "") == "ecdsa+sha512:ed448"
    names = text.partition("Acceptable client certificate CA names")[2].partition("Requested")[0]
    assert names.count("CN = ") == 2
    assert "OEM Root CA" in names
    assert "V2G Root CA" in names
    assert "MO Root CA" not in names, "a mobility operator vouches for no vehicle"
    assert text.count("-----BEGIN CERTIFICATE-----") == 1
    assert " 2 s:" in text, "leaf and both sub-CAs are sent"
    assert " 3 s:" not in text, "the root is not"
    assert "Secure Renegotiation IS NOT" in text
    assert (seen.of(TlsEstablished)[0].suite, curve_of(tree(curve).secc().key).name) == (
        "TLS_AES_256_GCM_SHA384",
        curve,
    )


@pytest.mark.parametrize(
    ("options", "alert", "reason"),
    [
        (["-tls1_2"], "protocol version", "unsupported protocol"),
        (["-ciphersuites", "TLS_AES_128_GCM_SHA256"], "handshake failure", "no shared cipher"),
        (["-groups", "P-256"], "handshake failure", "no suitable key share"),
        (["-sigalgs", "ECDSA+SHA256"], "handshake failure", "signature"),
    ],
    ids=["TLS 1.2", "AES-128", "P-256", "SHA-256"],
)
async def test_what_the_profile_does_not_have_is_refused(files, options, alert, reason):
    folder, _ = files
    from certs import Identity

    async with station(Identity.load(folder / "secc")) as (charger, _, seen):
        text = await client(charger, folder / "vehicle", *options)
        await until(lambda: seen.of(Disconnected))
    assert alert in text.replace("_", " ").lower() or alert.replace(" ", "") in text.lower(), text[-800:]
    assert reason in seen.of(TlsFailed)[0].reason
    assert not seen.of(TlsEstablished)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"], "Cipher is TLS_CHACHA20_POLY1305_SHA256"),
        (["-groups", "X448"], "Server Temp Key: X448"),
    ],
    ids=["ChaCha20", "X448"],
)
async def test_the_second_choices_of_the_profile_are_served(files, options, told):
    folder, _ = files
    from certs import Identity

    async with station(Identity.load(folder / "secc")) as (charger, _, seen):
        text = await client(charger, folder / "vehicle", *options)
        await until(lambda: seen.of(Disconnected))
    assert told in text
    assert seen.of(TlsEstablished)


@pytest.mark.req("V2G20-2446")
async def test_a_vehicle_with_little_memory_gets_short_records(files):
    folder, _ = files
    from certs import Identity

    async with station(Identity.load(folder / "secc")) as (charger, _, seen):
        text = await client(charger, folder / "vehicle", "-maxfraglen", "512", "-msg")
        await until(lambda: seen.of(Disconnected))
    assert seen.of(TlsEstablished)
    headers = re.findall(r"<<< .*RecordHeader \[length 0005\]\n +(?:\w\w) 03 03 (\w\w) (\w\w)", text)
    lengths = [int(high + low, 16) for high, low in headers]
    assert len(lengths) > 3, "the certificates alone fill several"
    assert max(lengths) <= 512 + 17, "content type and tag come on top"


async def test_s_client_without_a_certificate_is_refused(files):
    folder, _ = files
    from certs import Identity

    async with station(Identity.load(folder / "secc")) as (charger, _, seen):
        where = f"[{charger.address[0]}]:{charger.address[1]}"
        text = await openssl("s_client", "-connect", where, "-CAfile", folder / "vehicle" / "trusted.pem")
        await until(lambda: seen.of(Disconnected))
    assert "did not return a certificate" in seen.of(TlsFailed)[0].reason
    assert "certificate required" in text or "Verify return code: 0" in text


@functools.cache
def foreign():
    """A PKI with another V2G root."""
    return TestPki(datetime.datetime.now(datetime.UTC), organisation="Elsewhere")


@pytest.mark.req("V2G20-1007")
@pytest.mark.parametrize("names", ["own", "foreign", "none", "both"])
async def test_regression_03_a_vehicle_is_shown_the_chain_that_ends_at_a_root_it_names(tmp_path, names):
    own, theirs = tree().secc(), foreign().secc()
    tree().vehicle().write(tmp_path / "vehicle", unencrypted=True)
    roots = {"own": own.certificates, "foreign": theirs.certificates}
    for name, pki in (("own", tree()), ("foreign", foreign())):
        roots[name] = pki.vehicle().roots_for(Role.SECC)
    asked = {"none": (), "both": (*roots["foreign"], *roots["own"])}.get(names) or roots.get(names, ())
    (tmp_path / "named.pem").write_bytes(reading.pem(asked))
    (tmp_path / "vehicle" / "chain-only.pem").write_bytes(reading.pem(tree().vehicle().certificates[1:]))
    (tmp_path / "vehicle" / "trusted.pem").write_bytes(reading.pem((*roots["own"], *roots["foreign"])))
    more = ["-requestCAfile", tmp_path / "named.pem"] if asked else []
    async with station(Security(own, others=(theirs,))) as (charger, _, seen):
        text = await client(charger, tmp_path / "vehicle", *more)
        await until(lambda: seen.of(Disconnected))
    assert "Verify return code: 0 (ok)" in text
    assert "Cert Status: good" in text, "each chain has its own staple"
    shown_by = "Elsewhere" if names == "foreign" else "Test"
    assert f"depth=3 CN = V2G Root CA, O = {shown_by}\n" in text


@contextlib.asynccontextmanager
async def server(folder, *more):
    """`openssl s_server` on loopback: (address, port), and what it prints so far."""
    with socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        port = probe.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        OPENSSL, "s_server", "-accept", f"[::1]:{port}", *(str(a) for a in shown(folder)),
        "-Verify", "5", "-verify_return_error", "-trace", *(str(a) for a in more),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    text = bytearray()

    async def read():
        while piece := await process.stdout.read(4096):
            text.extend(piece)

    reading_on = asyncio.create_task(read())
    await until(lambda: b"ACCEPT" in text, 5.0)
    try:
        yield ("::1", port), text
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await reading_on
        await process.wait()
        process.stdin.close()


async def drive_until_established(where, folder):
    from certs import Identity

    vehicle, _, seen = car(None, Identity.load(folder / "vehicle"), where=where)
    events = vehicle.run()
    async with contextlib.aclosing(events):
        async for event in events:
            if isinstance(event, TlsEstablished | TlsFailed):
                break
    return seen


async def test_a_vehicle_as_s_server_sees_it(files):
    folder, _ = files
    options = ["-tls1_3", "-status_file", folder / "secc" / "ocsp.der", "-groups", "secp521r1:X448"]
    async with server(folder / "secc", *options) as (where, text):
        seen = await drive_until_established(where, folder)
        await until(lambda: b"Finished" in text)
        hello = text.decode(errors="replace").partition("ServerHello")[0]
    assert seen.of(TlsEstablished)[0].version == "TLS13"
    suites = re.findall(r"\{0x13, 0x0\d\} (\w+)", hello)
    assert suites == ["TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]
    groups = hello.partition("supported_groups")[2].partition("extension_type")[0]
    assert re.findall(r"\w+ \(P-521\)|ecdh_x\d+|secp\w+", groups)[:2] == ["secp521r1 (P-521)", "ecdh_x448"]
    algorithms = hello.partition("signature_algorithms(13)")[2].partition("extension_type")[0]
    assert re.findall(r"(\w+) \(0x0\d0\d\)", algorithms) == ["ecdsa_secp521r1_sha512", "ed448"]
    versions = hello.partition("supported_versions")[2].partition("extension_type")[0]
    assert re.findall(r"TLS 1\.\d", versions) == ["TLS 1.3"]
    assert "status_request" in hello
    assert "session_ticket" not in hello or "session_ticket(35), length=0" in hello
    assert "early_data" not in hello


async def test_a_vehicle_wants_a_staple_and_tls_1_3(files):
    folder, _ = files
    async with server(folder / "secc", "-tls1_3") as (where, _):
        seen = await drive_until_established(where, folder)
        assert "there is no OCSP response" in seen.of(TlsFailed)[0].reason
    async with server(folder / "secc", "-tls1_2") as (where, _):
        seen = await drive_until_established(where, folder)
        assert "protocol version" in seen.of(TlsFailed)[0].reason
    assert not seen.of(TlsEstablished)
