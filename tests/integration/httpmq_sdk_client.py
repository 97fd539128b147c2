"""The acceptance scenarios of the httpmq contract (section 8), with the public Python client: httpmq_sdk_client.py URL

A program of its own, so that the client's packages stay out of the suite's.
"""

import asyncio
import sys
import uuid

import httpmq

WAIT_S = 15


def context():
    return httpmq.RequestContext()


async def fails(call):
    try:
        await call
    except httpmq.HttpmqAPIError:
        return
    raise AssertionError("the call should have failed")


class Listener:
    """One push subscription; messages go into a queue."""

    def __init__(self, url, stream, consumer, subject, group=None):
        self.got = asyncio.Queue()
        self.stop_it = asyncio.Event()
        self.client = httpmq.DataClient(api_client=httpmq.APIClient(base_url=url))
        self.asked = context()
        self.task = asyncio.create_task(self.client.push_subscribe(
            stream=stream, consumer=consumer, subject_filter=subject, forward_data_cb=self.take, context=self.asked,
            stop_loop=self.stop_it, delivery_group=group, loop_interval_sec=0.05))

    async def take(self, message):
        await self.got.put(message)

    async def next(self):
        return await asyncio.wait_for(self.got.get(), WAIT_S)

    async def stop(self):
        self.stop_it.set()
        assert await asyncio.wait_for(self.task, WAIT_S) == self.asked.request_id
        await self.client.disconnect()


async def manage_streams(admin):
    name, subject = str(uuid.uuid4()), str(uuid.uuid4())
    param = httpmq.ManagementJSStreamParam(name=name, subjects=[subject])
    asked = context()
    assert await admin.create_stream(params=param, context=asked) == asked.request_id
    await admin.create_stream(params=param, context=context())
    other = httpmq.ManagementJSStreamParam(name=str(uuid.uuid4()), subjects=[subject])
    await fails(admin.create_stream(params=other, context=context()))
    shown, _ = await admin.get_stream(stream=name, context=context())
    assert (shown.config.name, shown.config.subjects) == (name, [subject])
    everyone, _ = await admin.list_all_streams(context=context())
    assert everyone[name].config.subjects == [subject]
    subjects = [str(uuid.uuid4()), str(uuid.uuid4())]
    await admin.change_stream_subjects(stream=name, new_subjects=subjects, context=context())
    await admin.update_stream_limits(stream=name, limits=httpmq.ManagementJSStreamLimits(max_age=3_600_000_000_000),
                                     context=context())
    shown, _ = await admin.get_stream(stream=name, context=context())
    assert (shown.config.subjects, shown.config.max_age) == (subjects, 3_600_000_000_000)
    await admin.delete_stream(stream=name, context=context())
    await fails(admin.get_stream(stream=name, context=context()))


async def manage_consumers(admin):
    base, stream = str(uuid.uuid4()), str(uuid.uuid4())

    def param(name, subject):
        return httpmq.ManagementJetStreamConsumerParam(name=name, max_inflight=1, mode="push", filter_subject=subject)

    await fails(admin.create_consumer_for_stream(stream=stream, params=param("x", f"{base}.a"), context=context()))
    await admin.create_stream(params=httpmq.ManagementJSStreamParam(name=stream, subjects=[f"{base}.a", f"{base}.b"]),
                              context=context())
    first, second = str(uuid.uuid4()), str(uuid.uuid4())
    for _ in range(2):
        await admin.create_consumer_for_stream(stream=stream, params=param(first, f"{base}.a"), context=context())
    await fails(admin.create_consumer_for_stream(stream=stream, params=param(first, f"{base}.b"), context=context()))
    await fails(admin.create_consumer_for_stream(stream=stream, params=param("y", str(uuid.uuid4())), context=context()))
    await admin.create_consumer_for_stream(stream=stream, params=param(second, f"{base}.*"), context=context())
    shown, _ = await admin.get_consumer_of_stream(stream=stream, consumer=second, context=context())
    assert (shown.config.max_ack_pending, shown.config.filter_subject) == (1, f"{base}.*")
    everyone, _ = await admin.list_all_consumer_of_stream(stream=stream, context=context())
    assert set(everyone) == {first, second}
    for name in (first, second):
        await admin.delete_consumer_on_stream(stream=stream, consumer=name, context=context())
    everyone, _ = await admin.list_all_consumer_of_stream(stream=stream, context=context())
    assert not everyone
    await admin.delete_stream(stream=stream, context=context())


async def deliver(admin, data, url):
    base, stream = str(uuid.uuid4()), str(uuid.uuid4())
    await admin.create_stream(params=httpmq.ManagementJSStreamParam(name=stream, subjects=[f"{base}.a", f"{base}.b"]),
                              context=context())
    filters = {str(uuid.uuid4()): f"{base}.{tail}" for tail in ("a", "b", "*")}
    for name, subject in filters.items():
        await admin.create_consumer_for_stream(
            stream=stream, context=context(),
            params=httpmq.ManagementJetStreamConsumerParam(name=name, max_inflight=1, mode="push", filter_subject=subject))
    names = list(filters)

    def listen():
        return [Listener(url, stream, name, subject) for name, subject in filters.items()]

    async def exchange(listeners, rounds):
        one, two, every = listeners
        for round_, (subject, listener) in enumerate([("a", one), ("b", two)] * rounds):
            payload = f"round {round_}".encode()
            await data.publish(subject=f"{base}.{subject}", message=payload, context=context())
            for place in (listener, every):
                got = await place.next()
                name = names[listeners.index(place)]
                assert got.message == payload and got.consumer == name and got.subject == filters[name], vars(got)
                await data.send_ack_simple(original_msg=got, context=context())
        assert all(listener.got.empty() for listener in listeners)

    # Only when they are there: one that is stopped before might take the place of its follower.
    early = listen()
    await exchange(early, 1)
    for listener in early:
        await listener.stop()
    listeners = listen()
    await exchange(listeners, 5)
    await fails(data.publish(subject=str(uuid.uuid4()), message=b"nobody takes this", context=context()))
    for listener in listeners:
        await listener.stop()
    for name in names:
        await admin.delete_consumer_on_stream(stream=stream, consumer=name, context=context())
    await admin.delete_stream(stream=stream, context=context())


async def share(admin, data, url):
    stream = str(uuid.uuid4())
    await admin.create_stream(params=httpmq.ManagementJSStreamParam(name=stream), context=context())
    await admin.create_consumer_for_stream(
        stream=stream, context=context(),
        params=httpmq.ManagementJetStreamConsumerParam(name="c", max_inflight=20, mode="push", delivery_group="g"))
    members = [Listener(url, stream, "c", stream, group="g") for _ in range(2)]
    await asyncio.sleep(0.2)
    for i in range(20):
        await data.publish(subject=stream, message=b"%d" % i, context=context())
    got = []
    while len(got) < 20:
        waiting = [asyncio.create_task(member.next()) for member in members if not member.got.empty()]
        got += [(await task).message for task in waiting]
        await asyncio.sleep(0.01)
    assert sorted(got) == sorted(b"%d" % i for i in range(20))
    for member in members:
        await member.stop()
    await admin.delete_stream(stream=stream, context=context())


async def main(url):
    admin = httpmq.ManagementClient(api_client=httpmq.APIClient(base_url=url))
    data = httpmq.DataClient(api_client=httpmq.APIClient(base_url=url))
    await admin.ready(context=context())
    await data.ready(context=context())
    await manage_streams(admin)
    await manage_consumers(admin)
    await deliver(admin, data, url)
    await share(admin, data, url)
    await admin.disconnect()
    await data.disconnect()
    print("all scenarios passed")


asyncio.run(main(sys.argv[1]))
