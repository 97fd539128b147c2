"""ETag and If-None-Match of topic metadata: a client that asks again learns cheaply that nothing changed."""

from harness.client import ok


def test_a_topic_that_has_not_changed_is_not_sent_again(client, name):
    client.make(name, 2)
    first = client.get(f"/topics/{name}")
    ok(first)
    tag = first.headers["ETag"]
    again = client.get(f"/topics/{name}", headers={"If-None-Match": tag})
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)


def test_a_new_message_and_a_new_partition_change_the_tag(client, name):
    client.make(name, 1)
    tag = client.get(f"/topics/{name}").headers["ETag"]
    client.put(name, [{"value": "a"}])
    answer = client.get(f"/topics/{name}", headers={"If-None-Match": tag})
    assert ok(answer)["partition_info"][0]["end_offset"] == 1
    tag = answer.headers["ETag"]
    ok(client.request("PATCH", f"/topics/{name}", json={"partitions": 2}))
    assert ok(client.get(f"/topics/{name}", headers={"If-None-Match": tag}))["partitions"] == 2


def test_a_list_that_has_not_changed_is_not_sent_again(client, name):
    client.make(name)
    tag = client.get("/topics?page_size=1").headers["ETag"]
    assert client.get("/topics?page_size=1", headers={"If-None-Match": f'"x", {tag}'}).status_code == 304
    assert client.get("/topics?page_size=1", headers={"If-None-Match": '"x"'}).status_code == 200


def test_every_gateway_gives_the_same_tag(gateways, name):
    one, other = (gateway.client() for gateway in gateways(2))
    one.make(name, 3)
    assert one.get(f"/topics/{name}").headers["ETag"] == other.get(f"/topics/{name}").headers["ETag"]
