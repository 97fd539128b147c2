"""Where the server is and how to talk to it."""

from __future__ import annotations

import os
import pathlib
import ssl
import tempfile
import tomllib
import urllib.parse

from .errors import ErrorKind, FluvioError

DEFAULT_ENDPOINT = "http://localhost:5470"


def _refuse(message: str) -> FluvioError:
    return FluvioError(ErrorKind.CLIENT_CONFIG, message)


def _is_plain(text: str) -> bool:
    """Fit for the head of a request."""
    return text.isascii() and text.isprintable()


class FluvioConfig:
    """An endpoint, a key, and TLS. Every setter returns the configuration itself.

    load() takes, in this order: the variables TIDEGATE_URL and TIDEGATE_API_KEY; the profile file, which is named by
    TIDEGATE_PROFILES or is ~/.config/tidegate/profiles.toml; http://localhost:5470 without a key. The file:

        current = "local"
        [profile.local]
        endpoint = "http://localhost:5470"
        key = "tg_…"
    """

    def __init__(self, endpoint: str = DEFAULT_ENDPOINT, *, key: str | None = None) -> None:
        self.set_key(key)
        self.client_id = "tidegate-python"
        self.connect_timeout_ms = 10_000
        self._tls: ssl.SSLContext | None = None
        self._server_name: str | None = None
        self.set_endpoint(endpoint)

    @classmethod
    def new(cls, addr: str) -> FluvioConfig:
        """For "host:port" or a URL; without TLS unless it is an https URL."""
        return cls(addr)

    @classmethod
    def load(cls, profile: str | None = None) -> FluvioConfig:
        """The current profile, or the one that is named."""
        endpoint, key = os.environ.get("TIDEGATE_URL"), os.environ.get("TIDEGATE_API_KEY")
        if profile is None and endpoint:
            return cls(endpoint, key=key or None)
        named = os.environ.get("TIDEGATE_PROFILES")
        path = pathlib.Path(named) if named else pathlib.Path.home() / ".config" / "tidegate" / "profiles.toml"
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            if profile is not None or named:
                raise _refuse(f"there is no profile file {path}") from None
            return cls(key=key or None)
        except (OSError, ValueError) as error:
            raise _refuse(f"the profile file {path} cannot be read: {error}") from error
        wanted = profile or content.get("current")
        found = content.get("profile", {}).get(wanted)
        if not isinstance(found, dict) or not isinstance(found.get("endpoint"), str):
            raise _refuse(f"{path} has no profile {wanted!r} with an endpoint")
        return cls(found["endpoint"], key=key or found.get("key"))

    # ---- where ----

    def set_endpoint(self, endpoint: str) -> FluvioConfig:
        text = endpoint if "://" in endpoint else "http://" + endpoint
        parts = urllib.parse.urlsplit(text)
        try:
            port = parts.port
            host = (parts.hostname or "").encode("idna").decode()
        except ValueError:
            port, host = None, ""
        if parts.scheme not in ("http", "https") or not _is_plain(host) or not host or parts.query:
            raise _refuse(f"an endpoint is host:port, or an http or https URL, not {endpoint!r}")
        if not _is_plain(parts.path) or " " in parts.path:
            raise _refuse(f"the path of the endpoint has to be percent-encoded, which {endpoint!r} is not")
        self.host = host
        self.is_tls = parts.scheme == "https"
        self.port: int = port or (443 if self.is_tls else 80)
        self.prefix = parts.path.rstrip("/")
        return self

    @property
    def endpoint(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.is_tls else 'http'}://{host}:{self.port}{self.prefix}"

    def set_key(self, key: str | None) -> FluvioConfig:
        """An API key or a token; sent as a bearer token."""
        if key is not None and not _is_plain(key):
            raise _refuse("a key is printable ASCII; was a line's end read with it from a file?")
        self.key = key
        return self

    def set_client_id(self, client_id: str) -> FluvioConfig:
        """Shown in the server's log as the user agent."""
        if not _is_plain(client_id):
            raise _refuse(f"a client id is printable ASCII, not {client_id!r}")
        self.client_id = client_id
        return self

    def set_connect_timeout(self, timeout_ms: int) -> FluvioConfig:
        self.connect_timeout_ms = timeout_ms
        return self

    # ---- TLS ----

    def disable_tls(self) -> FluvioConfig:
        self.is_tls, self._tls, self._server_name = False, None, None
        return self

    def set_anonymous_tls(self) -> FluvioConfig:
        """Encrypted, without checking who answers: only for tests."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return self.set_tls_context(context)

    def set_tls_context(self, context: ssl.SSLContext, server_name: str | None = None) -> FluvioConfig:
        self.is_tls, self._tls, self._server_name = True, context, server_name
        return self

    def set_tls_file_paths(
        self, domain: str, key_path: str | None, cert_path: str | None, ca_cert_path: str
    ) -> FluvioConfig:
        """The server has to show a certificate for `domain` from this CA. Key and certificate are our own, if any."""
        try:
            context = ssl.create_default_context(cafile=ca_cert_path)
            if cert_path is not None:
                context.load_cert_chain(cert_path, key_path)
        except (OSError, ssl.SSLError) as error:
            raise _refuse(f"the TLS files cannot be used: {error}") from error
        return self.set_tls_context(context, domain)

    def set_inline_tls(self, domain: str, key: str, cert: str, ca_cert: str) -> FluvioConfig:
        """The same with PEM texts; empty key and cert: none of our own."""
        try:
            context = ssl.create_default_context(cadata=ca_cert)
            if cert:
                # The standard library reads a key only from a file.
                with tempfile.TemporaryDirectory(prefix="tidegate-") as home:
                    path = pathlib.Path(home) / "pair.pem"
                    path.touch(mode=0o600)
                    path.write_text(key + "\n" + cert, encoding="ascii")
                    context.load_cert_chain(path)
        except (OSError, ssl.SSLError, ValueError) as error:
            raise _refuse(f"the TLS texts cannot be used: {error}") from error
        return self.set_tls_context(context, domain)

    def tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()  # it reads the authorities of the system: once is enough
        return self._tls

    @property
    def server_name(self) -> str:
        """What the server's certificate has to be for."""
        return self._server_name or self.host

    def __repr__(self) -> str:
        return f"FluvioConfig({self.endpoint!r})"
