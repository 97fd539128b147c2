"""Subscriptions of the durable dialect: a worker's tools."""

ROOT = "/v1/stream/"


class Desk:
    """Streams and subscriptions of one gateway."""

    def __init__(self, client):
        self.client = client

    def put_stream(self, path, body=None, media="application/json"):
        answer = self.client.request("PUT", ROOT + path, data=body, headers={"Content-Type": media})
        assert answer.status_code in (200, 201), answer.text
        return answer.headers["Stream-Next-Offset"]

    def append(self, path, body='{"n":1}', media="application/json"):
        answer = self.client.post(ROOT + path, data=body, headers={"Content-Type": media})
        assert answer.status_code in (200, 204), answer.text
        return answer.headers["Stream-Next-Offset"]

    def url(self, name, rest=""):
        return f"{ROOT}__ds/subscriptions/{name}{rest}"

    def put(self, name, **body):
        return self.client.request("PUT", self.url(name), json=body)

    def webhook(self, name, url, **body):
        return made(self.put(name, type="webhook", webhook={"url": url}, **body))

    def pull(self, name, wake_stream="wakes", **body):
        return made(self.put(name, type="pull-wake", wake_stream=wake_stream, **body))

    def get(self, name):
        answer = self.client.get(self.url(name))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def acked(self, name):
        return {link["path"]: link["acked_offset"] for link in self.get(name)["streams"]}

    def claim(self, name, worker="w1"):
        return self.client.post(self.url(name, "/claim"), json={"worker": worker})

    def take(self, name, worker="w1"):
        answer = self.claim(name, worker)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def report(self, name, wake, verb="ack", token=None, **members):
        token = token or wake.get("token") or wake["callback_token"]
        body = {"wake_id": wake["wake_id"], "generation": wake["generation"], **members}
        return self.client.post(self.url(name, "/" + verb), json=body, headers={"Authorization": f"Bearer {token}"})

    def read(self, path):
        return self.client.get(ROOT + path).json()


def made(answer):
    assert answer.status_code == 201, answer.text
    return answer.json()


def denied(answer, status, code):
    assert answer.status_code == status, f"{answer.status_code}: {answer.text}"
    error = answer.json()["error"]
    assert error["code"] == code, error
    assert len(error["message"].split()) >= 3
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    return error
