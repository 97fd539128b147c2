"""JSON Web Tokens: algorithms pinned by key, claims, times, files that change (DESIGN section 9)."""

import base64
import hashlib
import hmac
import json
import os
import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from harness import wait
from harness.client import Client, ok, refused
from harness.gateway import run
from harness.live import Stream

SECRET = "a secret of forty bytes, or a few more.."
ISSUER, AUDIENCE = "https://issuer.example", "tidegate"

RSA, RSA_OLD, EC = (rsa.generate_private_key(65537, 2048), rsa.generate_private_key(65537, 2048),
                    ec.generate_private_key(ec.SECP256R1()))


def pem(key):
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def jwk(key, kid):
    algorithm = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
    return {**json.loads(algorithm.to_jwk(key.public_key())), "kid": kid, "use": "sig"}


def token(key=SECRET, algorithm="HS256", headers=None, **claims):
    claims = {"iss": ISSUER, "aud": AUDIENCE, "exp": time.time() + 60, "tenant": "acme", "scope": "read write admin", **claims}
    return jwt.encode({n: v for n, v in claims.items() if v is not None}, key, algorithm, headers)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    made = tmp_path_factory.mktemp("keys")
    (made / "shared.secret").write_text(SECRET + "\n")
    (made / "rsa.pem").write_bytes(pem(RSA))
    (made / "set.json").write_text(json.dumps({"keys": [jwk(EC, "ec-1"), jwk(RSA_OLD, "rsa-old"),
                                                         {"kty": "OKP", "crv": "Ed25519", "x": "AA", "kid": "other"}]}))
    return made


@pytest.fixture(scope="module")
def database(database):
    run("migrate", database=database)
    run("tenant", "create", "acme", database=database)
    run("tenant", "create", "globex", database=database)
    return database


@pytest.fixture(scope="module")
def gateway(database, files):
    from harness.gateway import Gateway
    process = Gateway(database, jwt_keys=",".join(str(files / name) for name in ("shared.secret", "rsa.pem", "set.json")),
                      jwt_issuer=ISSUER, jwt_audience=AUDIENCE, jwt_leeway_s=10, credential_cache_ms=100)
    try:
        process.start()
        yield process
    finally:
        process.finish()


@pytest.fixture
def bearer(gateway):
    """bearer(token) → a client that sends it."""
    made = []

    def make(text):
        made.append(Client(gateway.url))
        made[-1].session.headers["Authorization"] = f"Bearer {text}"
        return made[-1]
    yield make
    for client in made:
        client.close()


def says_no(client, says):
    refused(client.get("/topics"), 401, "unauthorized", says)


@pytest.mark.parametrize("key, algorithm, kid", [(SECRET, "HS256", None), (RSA, "RS256", None), (RSA, "RS256", "any"),
                                                 (EC, "ES256", "ec-1"), (EC, "ES256", None), (RSA_OLD, "RS256", "rsa-old")],
                         ids=["secret", "pem", "pem-kid", "jwks-ec", "no-kid", "jwks-rsa"])
def test_each_kind_of_key_lets_in(bearer, key, algorithm, kid):
    ok(bearer(token(key, algorithm, {"kid": kid} if kid else None)).get("/topics"))


def test_without_any_credential_nobody_gets_in_although_no_api_key_exists(gateway):
    with Client(gateway.url) as client:
        says_no(client, "API key")


def unsigned(**claims):
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
    return f'{part({"alg": "none", "typ": "JWT"})}.{part({"exp": time.time() + 60, "tenant": "acme", **claims})}.'


def test_alg_none_is_refused(bearer):
    says_no(bearer(unsigned(iss=ISSUER, aud=AUDIENCE, scope="all")), "algorithm")


def test_a_public_key_is_no_shared_secret(bearer):
    """The classic confusion: HS256 with the bytes of the RSA public key as the secret."""
    head, body, _ = token(RSA, "RS256").split(".")
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=").decode()
    for secret in (pem(RSA), pem(RSA).strip()):
        mac = hmac.new(secret, f"{head}.{body}".encode(), hashlib.sha256).digest()
        forged = f"{head}.{body}." + base64.urlsafe_b64encode(mac).rstrip(b"=").decode()
        says_no(bearer(forged), "signed by none")


@pytest.mark.parametrize("algorithm", ["HS384", "HS512", "RS384", "RS512"])
def test_other_algorithms_are_refused(bearer, algorithm):
    key = SECRET * 2 if algorithm.startswith("HS") else RSA
    says_no(bearer(token(key, algorithm)), "algorithm")


def test_an_unknown_kid_is_refused_although_the_key_is_in_the_set(bearer):
    says_no(bearer(token(RSA_OLD, "RS256", {"kid": "nobody"})), "kid")


def test_a_foreign_key_is_refused(bearer):
    says_no(bearer(token("another secret that is just as long as it must be")), "signed by none")
    says_no(bearer(token(rsa.generate_private_key(65537, 2048), "RS256")), "signed by none")


def test_a_changed_byte_is_refused(bearer):
    head, body, signature = token().split(".")
    changed = base64.urlsafe_b64encode(base64.urlsafe_b64decode(body + "==").replace(b"acme", b"glob")).rstrip(b"=").decode()
    says_no(bearer(f"{head}.{changed}.{signature}"), "signed by none")


@pytest.mark.parametrize("claims, says", [
    ({"exp": -60.0}, "expired"), ({"exp": None}, "exp"), ({"exp": "soon"}, "exp"),
    ({"nbf": 100.0}, "not valid yet"), ({"iss": "https://evil.example"}, "iss"), ({"iss": None}, "iss"),
    ({"aud": "others"}, "aud"), ({"aud": None}, "aud"), ({"tenant": None}, "tenant"), ({"tenant": "nobody"}, "tenant"),
    ({"tenant": 7}, "tenant"), ({"prefixes": 7}, "prefixes"), ({"prefixes": []}, "prefixes"), ({"prefixes": [None]}, "prefixes"),
], ids=lambda value: None if isinstance(value, str) else "-".join(f"{n}={v}" for n, v in value.items())[:40])
def test_claims_that_do_not_fit(bearer, claims, says):
    claims = {n: time.time() + v if isinstance(v, float) else v for n, v in claims.items()}
    payload = {"iss": ISSUER, "aud": AUDIENCE, "exp": time.time() + 60, "tenant": "acme", "scope": "read", **claims}
    payload = {n: v for n, v in payload.items() if v is not None}

    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
    signed = f'{part({"alg": "HS256", "typ": "JWT"})}.{part(payload)}'
    mac = hmac.new(SECRET.encode(), signed.encode(), hashlib.sha256).digest()
    says_no(bearer(f"{signed}." + base64.urlsafe_b64encode(mac).rstrip(b"=").decode()), says)


def test_leeway_covers_small_differences_of_clocks(bearer):
    ok(bearer(token(exp=time.time() - 1)).get("/topics"))
    ok(bearer(token(nbf=time.time() + 1)).get("/topics"))


def test_one_of_several_audiences_is_enough(bearer):
    ok(bearer(token(aud=["others", AUDIENCE])).get("/topics"))


def test_scopes_and_prefixes_are_kept(bearer, name):
    admin = bearer(token(scope="openid tidegate:admin tidegate:read", prefixes=["mine."]))
    admin.make(f"mine.{name}")
    refused(admin.create(f"other.{name}"), 403, "forbidden")
    refused(admin.produce(f"mine.{name}", [{"value": "x"}]), 403, "forbidden")
    reader = bearer(token(scope=["read"]))
    assert f"mine.{name}" in reader.get("/topics").text
    refused(reader.create(name), 403, "forbidden")
    refused(bearer(token(scope="openid profile")).get("/topics"), 403, "forbidden")


def test_tenants_see_nothing_of_each_other(bearer, name):
    bearer(token()).make(name)
    other = bearer(token(tenant="globex"))
    assert name not in other.get("/topics").text
    refused(other.get(f"/topics/{name}"), 404, "topic_not_found")


def test_a_live_stream_ends_when_its_token_does(bearer, name):
    owner = bearer(token())
    owner.make(name)
    text = token(exp=time.time() - 5)
    client = bearer(text)
    with Stream(client, f"/topics/{name}/stream", headers={"Authorization": f"Bearer {text}"}) as stream:
        wait.until(lambda: stream.ended_cleanly is not None, "the stream ends with the token (10 s of leeway, of which 5 are over)")
        assert "credential_expired" in "".join(stream.lines)


def test_keys_are_read_again_when_their_file_changes(fresh_database, fleet, tmp_path):
    run("migrate", database=fresh_database)
    path = tmp_path / "set.json"

    def write(*keys):
        (tmp_path / "next").write_text(json.dumps({"keys": list(keys)}))
        os.replace(tmp_path / "next", path)

    write(jwk(RSA, "one"))
    gateway = fleet.start(fresh_database, jwt_keys=path, jwt_default_tenant="default", credential_cache_ms=0)

    def status(key, kid):
        with Client(gateway.url) as client:
            text = token(key, "RS256", {"kid": kid}, tenant=None)
            return client.get("/topics", headers={"Authorization": f"Bearer {text}"}).status_code

    assert status(RSA, "one") == 200 and status(RSA_OLD, "two") == 401
    write(jwk(RSA, "one"), jwk(RSA_OLD, "two"))
    wait.until(lambda: status(RSA_OLD, "two") == 200, "the new key is known")
    assert status(RSA, "one") == 200
    write(jwk(RSA_OLD, "two"))
    wait.until(lambda: status(RSA, "one") == 401, "the old key is gone")
    path.write_text("no JSON")
    time.sleep(1.2)
    assert status(RSA_OLD, "two") == 200  # what was known stays in force


@pytest.mark.parametrize("file, content", [("short.secret", b"too short"), ("x.pem", b"no key"), ("x.json", b"{}"),
                                           ("small.pem", pem(rsa.generate_private_key(65537, 1024)))])
def test_a_bad_key_file_stops_the_start_and_is_named(fresh_database, tmp_path, file, content):
    (tmp_path / file).write_bytes(content)
    done = run("serve", "--listen", "127.0.0.1:0", database=fresh_database, check=False, jwt_keys=tmp_path / file)
    assert done.returncode != 0 and file in done.stderr
