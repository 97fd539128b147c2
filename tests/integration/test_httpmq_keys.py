"""httpmq with API keys: scopes, prefixes, tenants, and what happens to a subscription whose key ends."""

import pytest

from harness.gateway import run
from harness.httpmq import Mq, done, fine, refused, stored


@pytest.fixture
def key(fresh_database, fleet):
    """key(*arguments) creates one; key.url is a worker's."""
    def create(*arguments):
        return run("key", "create", *arguments, database=fresh_database).stdout.split()[-1].strip()
    run("migrate", database=fresh_database)
    create.admin = create("--name", "admin", "--scopes", "read,write,delete,admin")
    create.url = fleet.start(fresh_database).url
    create.database = fresh_database
    return create


def test_scopes_and_prefixes(key):
    writer = key("--name", "writer", "--scopes", "write", "--prefix", "mine")
    with Mq(key.url, key=key.admin) as admin, Mq(key.url, key=writer) as limited, Mq(key.url) as nobody:
        done(nobody.get("/v1/admin/ready"))
        refused(nobody.streams(), 401)
        refused(nobody.publish("mine", b"x"), 401)
        for name in ("mine1", "other"):
            done(admin.make_stream(name))
        refused(limited.make_stream("mine2"), 403)
        stored(limited.publish("mine1", b"x"))
        refused(limited.publish("other", b"x"), 403)
        refused(limited.get("/v1/admin/stream/mine1"), 403)
        assert set(fine(admin.streams())["streams"]) == {"mine1", "other"}


def test_a_subscription_ends_with_its_key(key):
    reader = key("--name", "reader", "--scopes", "read")
    with Mq(key.url, key=key.admin) as admin, Mq(key.url, key=reader) as mine:
        done(admin.make_stream("s"))
        done(admin.make_consumer("s", "c"))
        with mine.subscribe("s", "c", "s") as lines:
            stored(admin.publish("s", b"x"))
            assert lines.deliver(1) == [(1, 1, b"x")]
            done(mine.ack("s", "c", 1))
            run("key", "revoke", reader.split("_")[1], database=key.database)
            assert lines.next().data["success"] is False
            assert lines.wait_end() is True
