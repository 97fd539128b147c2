"""Produces and reads back; TIDEGATE_URL names the server, http://localhost:5470 is the default."""

from tidegate import ConsumerConfig, Fluvio, Offset, TopicSpec


def main() -> None:
    with Fluvio.connect() as fluvio, fluvio.admin() as admin:
        admin.create_topic("quickstart", TopicSpec.create().with_partitions(2).build())
        with fluvio.topic_producer("quickstart") as producer:
            output = producer.send("user-1", "hello")
            producer.flush()
            print("stored at", output.wait().offset())
        consumer = fluvio.multi_partition_consumer("quickstart")
        for record in consumer.stream_with_config(Offset.beginning(), ConsumerConfig().disable_continuous()):
            print(record.key_string(), record.value_string())


# > stored at 0
# > user-1 hello
if __name__ == "__main__":
    main()
