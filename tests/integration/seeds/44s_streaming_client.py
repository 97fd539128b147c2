import requests
import json
BASE_URL = "https://api.44s.io:5470"
HEADERS = {
    "Content-Type": "application/json",
    "X-API-Key": "44s_your_api_key"
}
# Producer
def produce(topic: str, messages: list):
    response = requests.post(
        f"{BASE_URL}/topics/{topic}/produce",
        headers=HEADERS,
        json={"messages": messages}
    )
    return response.json()
# Produce events
produce("user-events", [
    {"key": "user-1", "value": json.dumps({"action": "click", "page": "/home"})},
    {"key": "user-2", "value": json.dumps({"action": "purchase", "item": "widget"})}
])
# Consumer
def consume(topic: str, group_id: str, max_messages: int = 100):
    response = requests.post(
        f"{BASE_URL}/topics/{topic}/consume",
        headers=HEADERS,
        json={"group_id": group_id, "max_messages": max_messages}
    )
    return response.json()
# Consume and process
while True:
    batch = consume("user-events", "my-consumer-group")
    for msg in batch["messages"]:
        event = json.loads(msg["value"])
        print(f"Processing: {event}")
    # Commit offsets
    requests.post(f"{BASE_URL}/topics/user-events/commit", headers=HEADERS, json={
        "group_id": "my-consumer-group",
        "offsets": [{"partition": m["partition"], "offset": m["offset"] + 1}
                    for m in batch["messages"]]
    })
