"""`tidegate token create`: tokens that servers with the same settings take, read here by a second implementation."""

import time

import jwt
import pytest

from harness.client import Client, ok, refused
from harness.gateway import run

SECRET = "a secret of forty bytes, or a few more.."


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "shared.secret"
    path.write_text(SECRET + "\n")
    return path


def create(*options, **settings):
    done = run("token", "create", *options, **settings)
    [text] = done.stdout.split()
    assert text not in done.stderr
    return text


def test_a_token_says_what_was_asked_for(secret):
    text = create("--tenant", "acme", "--subject", "me", "--scopes", "read,admin", "--prefix", "a.,b.", "--expires", "15m",
                  jwt_keys=secret, jwt_issuer="https://issuer.example", jwt_audience="tidegate")
    claims = jwt.decode(text, SECRET, ["HS256"], audience="tidegate")
    assert 890 < claims.pop("exp") - time.time() <= 900 and time.time() - claims.pop("iat") < 10
    assert claims == {"iss": "https://issuer.example", "aud": "tidegate", "sub": "me", "tenant": "acme",
                      "scope": "read admin", "prefixes": ["a.", "b."]}


def test_without_options_it_is_an_hour_of_reading_and_writing_for_the_default_tenant(secret):
    claims = jwt.decode(create(jwt_keys=secret), SECRET, ["HS256"])
    assert claims["tenant"] == "default" and claims["scope"] == "read write" and claims["exp"] - claims["iat"] == 3600
    assert "prefixes" not in claims


def test_a_server_with_the_same_settings_takes_it(fresh_database, fleet, secret, name):
    settings = {"jwt_keys": secret, "jwt_issuer": "us", "jwt_tenant_claim": "app.tenant", "jwt_scopes_claim": "rights"}
    worker = fleet.start(fresh_database, **settings)
    run("tenant", "create", "acme", database=fresh_database)
    with Client(worker.url) as client:
        def use(*options, **changed):
            text = create("--tenant", "acme", "--scopes", "all", *options, **{**settings, **changed})
            client.session.headers["Authorization"] = f"Bearer {text}"
        use("--prefix", "mine.")
        client.make(f"mine.{name}")
        refused(client.create(name), 403, "forbidden")
        use()
        assert ok(client.get("/topics"))
        use(jwt_issuer="them")
        refused(client.get("/topics"), 401, "unauthorized", "iss")


@pytest.mark.parametrize("options, says", [
    ([], "TIDEGATE_JWT_KEYS"), (["--jwt-keys", "/dev/null"], "/dev/null"),
    (["--jwt-keys", "{}", "--expires", "0"], "--expires"), (["--jwt-keys", "{}", "--scopes", "rule"], "rule"),
    (["--jwt-keys", "{}", "--prefix", "a.,,b."], "prefix"), (["--jwt-keys", "{}", "--tenant", ""], "tenant"),
], ids=lambda value: "-".join(value)[-16:] if isinstance(value, list) else None)
def test_what_cannot_be_signed_is_explained(secret, options, says):
    done = run("token", "create", *(option.format(secret) for option in options), check=False)
    assert done.returncode != 0 and not done.stdout and says in done.stderr


def test_a_public_key_signs_nothing(tmp_path):
    (tmp_path / "set.json").write_text('{"keys":[]}')
    done = run("token", "create", check=False, jwt_keys=tmp_path / "set.json")
    assert done.returncode == 1 and "shared secret" in done.stderr
