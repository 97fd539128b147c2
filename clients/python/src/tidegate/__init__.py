"""Tidegate for Python: producers, consumers and topics, shaped like Fluvio's client."""

from .admin import (CommonCreateRequest, ConsumerOffset, FluvioAdmin, PartitionMetadata, TopicChanges, TopicMetadata)
from .client import Fluvio
from .compression import Compression
from .compression import available as available_compressions
from .config import FluvioConfig
from .consumer import MultiplePartitionConsumer, PartitionConsumer
from .consumer_config import (ConsumerConfig, ConsumerConfigExt, ConsumerConfigExtBuilder, OffsetManagementStrategy,
                              RetryMode)
from .errors import ErrorKind, FluvioError, FluviorError
from .output import ProduceOutput, RecordMetadata
from .partitioner import Partitioner, SiphashRoundRobinPartitioner, SpecificPartitioner, partition_for_key
from .producer import TopicProducer
from .producer_config import (DeliverySemantic, Isolation, ProducerBatchEvent, RetryPolicy, RetryStrategy,
                              TopicProducerConfig, TopicProducerConfigBuilder)
from .record import Offset, Record
from .stream import AsyncRecordStream, RecordStream
from .topic_spec import CompressionType, TopicSpec

__version__ = "0.1.0"

__all__ = [
    "AsyncRecordStream", "CommonCreateRequest", "Compression", "CompressionType", "ConsumerConfig", "ConsumerConfigExt",
    "ConsumerConfigExtBuilder", "ConsumerOffset", "DeliverySemantic", "ErrorKind", "Fluvio", "FluvioAdmin", "FluvioConfig",
    "FluvioError", "FluviorError", "Isolation", "MultiplePartitionConsumer", "Offset", "OffsetManagementStrategy",
    "PartitionConsumer", "PartitionMetadata", "Partitioner", "ProduceOutput", "ProducerBatchEvent", "Record",
    "RecordMetadata", "RecordStream", "RetryMode", "RetryPolicy", "RetryStrategy", "SiphashRoundRobinPartitioner",
    "SpecificPartitioner", "TopicChanges", "TopicMetadata", "TopicProducer", "TopicProducerConfig",
    "TopicProducerConfigBuilder", "TopicSpec", "available_compressions", "partition_for_key",
]
