"""At least once: a position is stored after the work on its record is done."""

from tidegate import ConsumerConfigExtBuilder, Fluvio, OffsetManagementStrategy, TopicSpec


def main() -> None:
    with Fluvio.connect() as fluvio, fluvio.admin() as admin:
        admin.create_topic("jobs", TopicSpec.create().build())
        with fluvio.topic_producer("jobs") as producer:
            producer.send_all([(None, "first"), (None, "second"), (None, "third")])
        config = (ConsumerConfigExtBuilder("jobs").offset_consumer("worker").disable_continuous()
                  .offset_strategy(OffsetManagementStrategy.MANUAL).build())
        with fluvio.consumer_with_config(config) as stream:
            print("did", next(stream).value_string())
            stream.offset_commit()
            stream.offset_flush()
        with fluvio.consumer_with_config(config) as stream:
            print("left", [record.value_string() for record in stream])


# > did first
# > left ['second', 'third']
if __name__ == "__main__":
    main()
