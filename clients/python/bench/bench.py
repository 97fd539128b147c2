#!/usr/bin/env python3
"""Usage: bench.py URL TOPIC [SECONDS]

Produces records of 100 bytes without keys to TOPIC, which must exist: with defaults, with zstd, in batches of 1000; then reads
everything back. Prints a line each: what, records/s. Everything that was sent has to be acknowledged, and to be there.
"""

import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "src"))

from tidegate import (  # noqa: E402
    Compression,
    ConsumerConfig,
    Fluvio,
    FluvioConfig,
    Offset,
    TopicProducerConfig,
    available_compressions,
)

RECORD_BYTES = 100
LOOK_EVERY = 1000  # records between two looks at the clock
CASES = (
    ("producer", Compression.None_, 16_384),
    ("producer-zstd", Compression.Zstd, 16_384),
    ("producer-large", Compression.None_, 112_000),
)


def value_of(number: int) -> bytes:
    """Words and numbers, as events have them: neither constant nor random."""
    text = (
        f"event {number} user-{number % 977} paid {number % 1009} for order {number * 7919 % 1000003} at {number % 31}"
    )
    return text.ljust(RECORD_BYTES, ".").encode()[:RECORD_BYTES]


def produce(fluvio: Fluvio, topic: str, config: TopicProducerConfig, seconds: float) -> tuple[int, float]:
    """Records acknowledged, and how long that took."""
    values = [value_of(number) for number in range(LOOK_EVERY)]
    sent = 0
    began = time.monotonic()
    with fluvio.topic_producer_with_config(topic, config) as producer:
        while time.monotonic() < began + seconds:
            for value in values:
                producer.send(None, value)
            sent += LOOK_EVERY
        producer.flush()
        return sent, time.monotonic() - began


def consume(fluvio: Fluvio, topic: str) -> tuple[int, float]:
    began = time.monotonic()
    count = 0
    consumer = fluvio.multi_partition_consumer(topic)
    with consumer.stream_with_config(Offset.beginning(), ConsumerConfig().disable_continuous()) as stream:
        for _ in stream:
            count += 1
    return count, time.monotonic() - began


def main() -> None:
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    url, topic = sys.argv[1:3]
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 5.0
    stored = 0
    with Fluvio.connect_with_config(FluvioConfig.new(url)) as fluvio:
        before, _ = consume(fluvio, topic)
        for what, compression, batch_size in CASES:
            if compression not in available_compressions():
                print(f"{what} is left out: pip install 'tidegate[{compression.value}]'", file=sys.stderr)
                continue
            config = TopicProducerConfig(compression=compression, batch_size=batch_size)
            count, took_s = produce(fluvio, topic, config, seconds)
            stored += count
            print(f"{what}  {count / took_s:.0f} records/s", flush=True)
        count, took_s = consume(fluvio, topic)
        if count != before + stored:
            sys.exit(f"{stored} records were acknowledged, and {count - before} are there")
        print(f"consumer  {count / took_s:.0f} records/s", flush=True)


if __name__ == "__main__":
    main()
