"""The same with asyncio."""

import asyncio

from tidegate import Compression, Fluvio, Offset, TopicProducerConfigBuilder, TopicSpec


async def run() -> None:
    config = TopicProducerConfigBuilder().linger(5).compression(Compression.Gzip).build()
    async with Fluvio.connect() as fluvio:
        with fluvio.admin() as admin:
            admin.create_topic("async-events", TopicSpec.create().build())
        async with fluvio.topic_producer_with_config("async-events", config) as producer:
            await producer.async_send(None, "one")
            await producer.async_send(None, "two")
        async with await fluvio.partition_consumer("async-events", 0).async_stream(Offset.beginning()) as stream:
            async for record in stream:
                print(record.offset(), record.value_string())
                if record.offset() == 1:
                    break


def main() -> None:
    asyncio.run(run())


# > 0 one
# > 1 two
if __name__ == "__main__":
    main()
