"""HTTPS: a certificate that nobody signed is taken where it is pinned, and nowhere else."""

from __future__ import annotations

import datetime
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from edusense import Site, devices
from edusense.errors import DeviceProtocolError, SiteValueError
from edusense.sim.onvif_server import Identity, OnvifServer, Profile

MAIN = Profile("p1", "mainStream", 1920, 1080, 25, 4000, "H264", "rtsp://127.0.0.1:8554/main")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A context with a certificate of its own, as a camera makes at its first start, and its SHA-256."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "IPCAM")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=9))
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "camera.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context, certificate.fingerprint(hashes.SHA256()).hex()


def opened(server, **more):
    return devices.open_camera(f"onvif:{server.url}", user="edusense", password="secret", timeout_s=5, **more)


def test_a_pinned_certificate_is_taken_and_another_is_not(made):
    context, shown = made
    with OnvifServer(Identity(), [MAIN], "edusense", "secret", tls=context) as server:
        assert server.url.startswith("https://")
        with opened(server, certificate=f"sha256:{shown}") as camera:
            assert camera.information().model == "Virtual Camera"
            assert camera.stream_address("p1") == "rtsp://127.0.0.1:8554/main"
        before = server.requests
        with opened(server) as camera, pytest.raises(DeviceProtocolError, match="no trusted connection") as caught:
            camera.information()
        assert f'certificate = "sha256:{shown}"' in caught.value.hint
        with (
            opened(server, certificate="sha256:" + "0" * 64) as camera,
            pytest.raises(DeviceProtocolError, match=f"another certificate than the site file names: sha256:{shown}"),
        ):
            camera.information()
        assert server.requests == before  # nothing was said, no password above all


def test_the_site_file_names_it(made):
    _, shown = made
    text = (
        '[site]\nid = "s"\nnumber = 1\n[[rooms]]\nid = "205"\nkind = "classroom"\n[[cameras]]\nid = "a"\nroom = "205"\n'
        'address = "https://10.0.0.5/onvif/device_service"\ncertificate = "{}"\n'
    )
    assert Site.loads(text.format(f"sha256:{shown}")).cameras[0].certificate == f"sha256:{shown}"
    with pytest.raises(SiteValueError, match="not the fingerprint"):
        Site.loads(text.format("md5:1234"))
