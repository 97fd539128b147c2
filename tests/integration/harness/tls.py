"""Certificates made for a test, and a gateway's listener with TLS as the rest of the harness sees a gateway."""

import datetime
import ipaddress
import ssl

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from harness import wait
from harness.client import Client

PEM = serialization.Encoding.PEM


class Certificate:
    """A self-signed certificate for 127.0.0.1 and its key, in two files."""

    def __init__(self, directory):
        self.path, self.key_path = directory / "server.pem", directory / "server.key"
        self.settings = {"tls_certificate_file": self.path, "tls_key_file": self.key_path}
        self.serial = None
        self.renew()

    @staticmethod
    def make():
        """(certificate, key)"""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tidegate test")])
        now = datetime.datetime.now(datetime.UTC)
        names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        made = x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key(),
                                       serial_number=x509.random_serial_number(),
                                       not_valid_before=now - datetime.timedelta(days=1),
                                       not_valid_after=now + datetime.timedelta(days=30))
        made = made.add_extension(names, critical=False)
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        return made.sign(key, hashes.SHA256()), key

    def renew(self):
        """Both files, one after the other, as tools for that do."""
        certificate, key = self.make()
        self.write_certificate(certificate)
        self.write_key(key)
        self.serial = certificate.serial_number

    def write_certificate(self, certificate):
        replace(self.path, certificate.public_bytes(PEM))

    def write_key(self, key, passphrase=None):
        hidden = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
        replace(self.key_path, key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, hidden))


def replace(path, content):
    fresh = path.with_suffix(".fresh")
    fresh.write_bytes(content)
    fresh.rename(path)


class Listener:
    """The last listener of a gateway, whose address is in tls_listen."""

    def __init__(self, gateway, certificate):
        self.gateway, self.certificate = gateway, certificate
        self.host, _, port = gateway.addresses[-1].rpartition(":")
        self.port = int(port)
        self.url = f"https://{self.host}:{port}"

    def client(self, **options):
        return Client(self.url, verify=str(self.certificate.path), **options)

    def http2(self):
        return httpx.Client(http1=False, http2=True, verify=self.context(), trust_env=False, base_url=self.url,
                            timeout=wait.DEADLINE_S)

    def context(self, *protocols):
        made = ssl.create_default_context(cafile=self.certificate.path)
        if protocols:
            made.set_alpn_protocols(list(protocols))
        return made

    def serial(self):
        """Of the certificate that a new client is shown."""
        text = ssl.get_server_certificate((self.host, self.port))
        return x509.load_pem_x509_certificate(text.encode()).serial_number

    def metric(self, name):
        return self.gateway.metric(name)
