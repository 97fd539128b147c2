/*
 * libtidegate: a producer and consumer for Tidegate's streaming API, shaped like Fluvio's clients.
 *
 *   tg_config *config = tg_config_new();
 *   tg_config_set_endpoint(config, "http://localhost:5470");
 *   tg_client *client;
 *   tg_error error;
 *   if (tg_connect(config, &client, &error) != TG_OK) { puts(error.message); … }
 *
 * Owns     What a function hands out through `**out` belongs to the caller, who ends it with the matching _free or
 *          _close. Data and strings given to a function are copied before it returns. A client may be closed before
 *          what was made from it: it lives until the last of them ends.
 * Threads  Clients, producers and outputs: any thread at any time. Configurations and streams: one thread at a time.
 *          A producer has one background thread with all signals blocked; nothing else has one. No signal handlers.
 * Units    sizes are bytes, times int64_t milliseconds, timestamps ms since 1970, text UTF-8.
 * Waits    a timeout of 0 only looks, a negative one waits for ever.
 * Errors   Every call that can fail returns a tg_status, TG_OK = 0, and fills `*error` if it is not NULL. `*out` is
 *          left alone on failure. Each call names the statuses that are its own; besides them TG_ERR_INVALID_ARGUMENT and
 *          TG_ERR_NO_MEMORY, and for a call that speaks to the server also TG_ERR_CONNECTION, TG_ERR_UNAUTHORIZED,
 *          TG_ERR_FORBIDDEN, TG_ERR_UNAVAILABLE, TG_ERR_PROTOCOL and TG_ERR_SERVER.
 * ABI      Functions never leave a SONAME; structs that callers fill in begin with their own size and may grow.
 */
#ifndef TIDEGATE_H
#define TIDEGATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TG_VERSION_MAJOR 0
#define TG_VERSION_MINOR 1
#define TG_VERSION_PATCH 0

#if defined(__GNUC__)
#define TG_API __attribute__((visibility("default")))
#else
#define TG_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- errors ---- */

typedef enum tg_status {
	TG_OK = 0,
	TG_TIMEOUT = 1, /* nothing within the time given; ask again */
	TG_END = 2,     /* a bounded stream has given everything */

	TG_ERR_INVALID_ARGUMENT = -1,
	TG_ERR_NO_MEMORY = -2,
	TG_ERR_CONNECTION = -3, /* no connection, or it broke: address, TLS, reset, time limit of a try */
	TG_ERR_UNAUTHORIZED = -4,
	TG_ERR_FORBIDDEN = -5,
	TG_ERR_TOPIC_NOT_FOUND = -6,
	TG_ERR_PARTITION_NOT_FOUND = -7,
	TG_ERR_TOPIC_EXISTS = -8,
	TG_ERR_RECORD_TOO_LARGE = -9,
	TG_ERR_QUEUE_FULL = -10,        /* batch_queue_size batches were waiting for the whole queue timeout */
	TG_ERR_RETRIES_EXHAUSTED = -11, /* of a batch; the message says why the last try failed */
	TG_ERR_TOPIC_FULL = -12,
	TG_ERR_COMPRESSION = -13, /* not in this build of the library, or refused by the server */
	TG_ERR_OFFSET_EVICTED = -14,
	TG_ERR_OFFSET_OUT_OF_RANGE = -15,
	TG_ERR_NO_OFFSET_MANAGEMENT = -16, /* commit and flush need a consumer id and a strategy */
	TG_ERR_MAX_RETRY_REACHED = -17,    /* of a stream */
	TG_ERR_FENCED = -18,               /* the server expects another producer sequence */
	TG_ERR_GROUP_NOT_FOUND = -19,
	TG_ERR_UNAVAILABLE = -20, /* 429 or 503: try again later */
	TG_ERR_CLOSED = -21,      /* the producer was closed before the batch was sent */
	TG_ERR_PROTOCOL = -22,    /* an answer that is none of ours: is this a Tidegate server? */
	TG_ERR_SERVER = -23       /* any other refusal; see http and message */
} tg_status;

typedef struct tg_error {
	tg_status kind;
	int code;       /* Fluvio's number for it (2001 = topic not found), 0 = none */
	int http;       /* status of the answer, 0 = there was none */
	bool retryable; /* the same call may succeed later */
	char message[480];
} tg_error;

TG_API const char *tg_status_str(tg_status status); /* never NULL */
TG_API const char *tg_version(void);                /* of the library in use: "0.1.0" */

/* ---- client ---- */

typedef struct tg_config tg_config;
typedef struct tg_client tg_client;

/* Defaults: http://localhost:5470, no key. NULL: no memory. */
TG_API tg_config *tg_config_new(void);
/* profile NULL: TIDEGATE_URL, else the current profile, else the defaults. Otherwise the profile of that name.
 * TIDEGATE_API_KEY, TIDEGATE_TOKEN and TIDEGATE_CA_FILE count in each case. TG_ERR_INVALID_ARGUMENT: also no such
 * profile, or a file that cannot be read. */
TG_API tg_status tg_config_load(const char *profile, tg_config **out, tg_error *error);
TG_API tg_status tg_config_set_endpoint(tg_config *config, const char *url);    /* http:// or https:// */
TG_API tg_status tg_config_set_api_key(tg_config *config, const char *key);     /* X-API-Key */
TG_API tg_status tg_config_set_token(tg_config *config, const char *token);     /* Authorization: Bearer */
TG_API tg_status tg_config_set_tls_ca_file(tg_config *config, const char *pem); /* instead of the system's */
TG_API tg_status tg_config_set_tls_identity(tg_config *config, const char *certificate_pem, const char *key_pem);
TG_API void tg_config_set_tls_verify(tg_config *config, bool verify);                /* true; false is for tests only */
TG_API void tg_config_set_connect_timeout_ms(tg_config *config, int64_t timeout_ms); /* 10 000 */
TG_API void tg_config_set_request_timeout_ms(tg_config *config, int64_t timeout_ms); /* 30 000; admin calls, commits */
TG_API void tg_config_free(tg_config *config);

/* Checks that the server answers and knows the key. */
TG_API tg_status tg_connect(const tg_config *config, tg_client **out, tg_error *error);
TG_API void tg_client_close(tg_client *client);

/* ---- profiles ---- */

/* Addresses with names, for tg_config_load() and all our other clients: TOML in the file that TIDEGATE_PROFILES names, or
 * ~/.config/tidegate/profiles.toml. What else stands in the file is kept when it is changed. */
typedef struct tg_profile {
	const char *name;
	const char *endpoint;
	const char *key; /* NULL = none */
	bool is_current;
} tg_profile;

typedef bool (*tg_profile_visit)(void *context, const tg_profile *profile); /* false ends the list early */

/* TG_ERR_INVALID_ARGUMENT of all five: also a file that cannot be read or written, and a name that is not there. */
TG_API tg_status tg_profile_list(tg_profile_visit visit, void *context, tg_error *error); /* no file: none */
/* Adds or replaces one, and makes the first one the current one. key NULL = none; the file is for its owner only. */
TG_API tg_status tg_profile_set(const char *name, const char *endpoint, const char *key, tg_error *error);
TG_API tg_status tg_profile_switch(const char *name, tg_error *error); /* makes it the current one */
TG_API tg_status tg_profile_rename(const char *name, const char *to, tg_error *error);
TG_API tg_status tg_profile_delete(const char *name, tg_error *error);

/* ---- producer configuration ---- */

typedef enum tg_compression {
	TG_COMPRESSION_NONE = 0,
	TG_COMPRESSION_GZIP = 1,
	TG_COMPRESSION_SNAPPY = 2,
	TG_COMPRESSION_LZ4 = 3,
	TG_COMPRESSION_ZSTD = 4
} tg_compression;

TG_API bool tg_compression_supported(tg_compression compression); /* by this build */

/* What the server offers is ReadCommitted for both: a record is seen once it is committed, and never taken back. */
typedef enum tg_isolation { TG_READ_UNCOMMITTED = 0, TG_READ_COMMITTED = 1 } tg_isolation;

typedef enum tg_delivery {
	TG_AT_MOST_ONCE = 0, /* one try */
	TG_AT_LEAST_ONCE = 1 /* tries again by the retry policy; with idempotence a batch is stored once */
} tg_delivery;

typedef enum tg_retry_strategy {
	TG_RETRY_FIXED = 0,       /* initial, initial, … */
	TG_RETRY_EXPONENTIAL = 1, /* initial^1, initial^2, … ms, as Fluvio counts: 20, 400, 8 000, … */
	TG_RETRY_FIBONACCI = 2    /* initial × 1, 1, 2, 3, 5, … */
} tg_retry_strategy;

typedef struct tg_retry_policy {
	size_t size; /* sizeof(tg_retry_policy) */
	tg_retry_strategy strategy;
	uint32_t max_retries; /* 0 = one try */
	int64_t initial_delay_ms;
	int64_t max_delay_ms;
	int64_t total_timeout_ms; /* from the first try on */
} tg_retry_policy;

/* The partition of a record, below partition_count. Called on the sending thread. */
typedef uint32_t (*tg_partitioner)(void *context, const void *key, size_t key_len, const void *value, size_t value_len,
								   uint32_t partition_count);

/* One batch, when it is done. */
typedef struct tg_batch_report {
	int32_t partition;
	int64_t base_offset; /* of its first record; -1 when it failed */
	uint32_t records;
	size_t bytes;          /* uncompressed, by Fluvio's formula */
	int64_t created_ms;    /* timestamp */
	int64_t elapsed_ms;    /* from its first record to the answer */
	const tg_error *error; /* NULL = stored; valid during the call */
} tg_batch_report;

/* On the producer's thread: be quick, and call nothing that waits for this producer. */
typedef void (*tg_batch_callback)(void *context, const tg_batch_report *report);

typedef struct tg_producer_config tg_producer_config;

TG_API tg_producer_config *tg_producer_config_new(void);                                         /* NULL: no memory */
TG_API void tg_producer_config_set_batch_size(tg_producer_config *config, size_t bytes);         /* 16 384 */
TG_API void tg_producer_config_set_max_request_size(tg_producer_config *config, size_t bytes);   /* 1 048 576 */
TG_API void tg_producer_config_set_batch_queue_size(tg_producer_config *config, size_t batches); /* 100 a partition */
/* How long a send may wait for room in the queue: 30 000; 0 = fails at once. */
TG_API void tg_producer_config_set_queue_timeout_ms(tg_producer_config *config, int64_t timeout_ms);
TG_API void tg_producer_config_set_linger_ms(tg_producer_config *config, int64_t linger_ms); /* 100 */
TG_API void tg_producer_config_set_compression(tg_producer_config *config, tg_compression compression);
/* How long the server may take for a batch: 1 500. A try is given up 10 s later. */
TG_API void tg_producer_config_set_timeout_ms(tg_producer_config *config, int64_t timeout_ms);
TG_API void tg_producer_config_set_isolation(tg_producer_config *config, tg_isolation isolation);
TG_API void tg_producer_config_set_delivery(tg_producer_config *config, tg_delivery delivery); /* at least once */
TG_API void tg_producer_config_set_idempotence(tg_producer_config *config, bool idempotence);  /* true */
/* exponential, 4 retries from 20 ms up to 200 s, 300 s in all */
TG_API void tg_producer_config_set_retry(tg_producer_config *config, const tg_retry_policy *policy);
/* Instead of hash by key and round robin without one; NULL goes back to that. */
TG_API void tg_producer_config_set_partitioner(tg_producer_config *config, tg_partitioner partitioner, void *context);
TG_API void tg_producer_config_set_partition(tg_producer_config *config, int32_t partition); /* always this; -1 = no */
/* false: an empty key is no key. true: it is hashed and stored, as some Fluvio bindings do. */
TG_API void tg_producer_config_set_hash_empty_key(tg_producer_config *config, bool hash);
TG_API void tg_producer_config_set_callback(tg_producer_config *config, tg_batch_callback callback, void *context);
TG_API void tg_producer_config_free(tg_producer_config *config);

/* ---- producer ---- */

typedef struct tg_producer tg_producer;
typedef struct tg_output tg_output;

typedef struct tg_message {
	size_t size;     /* sizeof(tg_message) */
	const void *key; /* NULL = none */
	size_t key_len;
	const void *value;
	size_t value_len;
	int64_t timestamp_ms; /* 0 = now */
	int32_t partition;    /* -1 = the partitioner decides */
} tg_message;

#define TG_MESSAGE_INIT                                                                                                \
	{                                                                                                                  \
		sizeof(tg_message), NULL, 0, NULL, 0, 0, -1                                                                    \
	}

typedef struct tg_record_metadata {
	int32_t partition;
	int64_t offset;
} tg_record_metadata;

/* config NULL = defaults. The key needs the scopes read (to see the topic's partitions) and write.
 * TG_ERR_TOPIC_NOT_FOUND: topics are never made by producing. TG_ERR_INVALID_ARGUMENT: also batch_size above
 * max_request_size. TG_ERR_COMPRESSION. */
TG_API tg_status tg_producer_open(tg_client *client, const char *topic, const tg_producer_config *config,
								  tg_producer **out, tg_error *error);

/* Puts a record into its partition's open batch. Does no I/O, but waits while that partition's queue is full.
 * out NULL = no interest in its offset. TG_ERR_RECORD_TOO_LARGE and TG_ERR_QUEUE_FULL: nothing was queued.
 * TG_ERR_PARTITION_NOT_FOUND. After a batch of the partition has failed: that error, until tg_clear_errors(). */
TG_API tg_status tg_send(tg_producer *producer, const void *key, size_t key_len, const void *value, size_t value_len,
						 tg_output **out, tg_error *error);
TG_API tg_status tg_send_string(tg_producer *producer, const char *value, tg_output **out, tg_error *error);
TG_API tg_status tg_send_ex(tg_producer *producer, const tg_message *message, tg_output **out, tg_error *error);
/* Sends in order, up to the first error. outs: NULL or room for count. *sent (may be NULL): how many were taken. */
TG_API tg_status tg_send_all(tg_producer *producer, const tg_message *messages, size_t count, tg_output **outs,
							 size_t *sent, tg_error *error);

/* Sends everything queued whatever its age and waits for the answers. TG_TIMEOUT: some is still under way. An error:
 * of a partition of which a batch has failed since it was opened or its errors were cleared. */
TG_API tg_status tg_flush(tg_producer *producer, int64_t timeout_ms, tg_error *error);
/* Lets partitions whose batch has failed go on. What had failed stays failed. */
TG_API void tg_clear_errors(tg_producer *producer);
/* Flushes, then ends the thread and frees the producer whatever the result; what is not stored by then fails with
 * TG_ERR_CLOSED. Outputs stay valid. */
TG_API tg_status tg_producer_close(tg_producer *producer, int64_t timeout_ms, tg_error *error);

/* Waits until the record's batch is done. Does not make it go sooner: a lone record waits for linger. TG_TIMEOUT.
 * Else TG_OK or what the batch failed with, as often as asked. */
TG_API tg_status tg_output_wait(tg_output *output, int64_t timeout_ms, tg_record_metadata *metadata, tg_error *error);
TG_API tg_status tg_output_poll(tg_output *output, tg_record_metadata *metadata, tg_error *error);
TG_API void tg_output_free(tg_output *output);

/* The partition of a key: SipHash-2-4, keys 0 and 0, over the length (8 bytes, little-endian) and the bytes. */
TG_API uint64_t tg_key_hash(const void *key, size_t key_len);
TG_API uint32_t tg_partition_for_key(const void *key, size_t key_len, uint32_t partition_count); /* count 0: 0 */

/* ---- consumer configuration ---- */

/* A start position. S, E: first kept and next offset of a partition; C: where the consumer id was, plus 1. */
typedef struct tg_offset {
	int kind;
	int64_t value;
} tg_offset;

TG_API tg_offset tg_offset_absolute(int64_t offset);        /* as it is; negative or above E is refused at open */
TG_API tg_offset tg_offset_beginning(void);                 /* C, else S */
TG_API tg_offset tg_offset_from_beginning(uint32_t count);  /* (C, else S) + count, within S and E */
TG_API tg_offset tg_offset_end(void);                       /* C, else E */
TG_API tg_offset tg_offset_from_end(uint32_t count);        /* (C, else E) - count, within S and E */
TG_API tg_offset tg_offset_timestamp(int64_t timestamp_ms); /* the first record of that time or later */

typedef enum tg_strategy {
	TG_OFFSETS_NONE = 0,   /* nothing is saved; an id's position is still read */
	TG_OFFSETS_MANUAL = 1, /* tg_offset_commit(), tg_offset_flush() */
	TG_OFFSETS_AUTO = 2    /* each record as it is handed out; saved every flush_ms, by tg_stream_next and at close */
} tg_strategy;

typedef enum tg_retry_mode {
	TG_RETRY_DISABLED = 0,
	TG_TRY_UNTIL = 1, /* so many failures in a row */
	TG_TRY_FOREVER = 2
} tg_retry_mode;

/* Records [from, to) were lost to retention before this stream came to them. */
typedef void (*tg_gap_callback)(void *context, int32_t partition, int64_t from_offset, int64_t to_offset);

typedef struct tg_consumer_config tg_consumer_config;

TG_API tg_consumer_config *tg_consumer_config_new(const char *topic);                             /* NULL: no memory */
TG_API tg_status tg_consumer_config_add_partition(tg_consumer_config *config, int32_t partition); /* none = all */
TG_API void tg_consumer_config_set_start(tg_consumer_config *config, tg_offset start);            /* beginning */
/* The stream ends when every partition is behind the record of this offset; -1 (default) = no such end. */
TG_API void tg_consumer_config_set_end(tg_consumer_config *config, int64_t last_offset);
TG_API tg_status tg_consumer_config_set_id(tg_consumer_config *config, const char *consumer_id);
TG_API void tg_consumer_config_set_strategy(tg_consumer_config *config, tg_strategy strategy);   /* none */
TG_API void tg_consumer_config_set_flush_ms(tg_consumer_config *config, int64_t flush_ms);       /* 10 000 */
TG_API void tg_consumer_config_set_disable_continuous(tg_consumer_config *config, bool disable); /* false */
TG_API void tg_consumer_config_set_max_bytes(tg_consumer_config *config, size_t bytes);          /* 1 MiB an answer */
TG_API void tg_consumer_config_set_isolation(tg_consumer_config *config, tg_isolation isolation);
/* try until 100; waits 1 s, then a tenth longer each time, at most 30 s. Bounded streams never reconnect. */
TG_API void tg_consumer_config_set_retry(tg_consumer_config *config, tg_retry_mode mode, uint32_t tries);
TG_API void tg_consumer_config_set_on_gap(tg_consumer_config *config, tg_gap_callback callback, void *context);
TG_API void tg_consumer_config_free(tg_consumer_config *config);

/* ---- stream ---- */

typedef struct tg_stream tg_stream;
typedef struct tg_record tg_record;

/* Reads where each partition begins and, for a bounded stream, ends. One connection a partition.
 * TG_ERR_TOPIC_NOT_FOUND, TG_ERR_PARTITION_NOT_FOUND, TG_ERR_OFFSET_OUT_OF_RANGE. TG_ERR_INVALID_ARGUMENT: also a strategy
 * without a consumer id. */
TG_API tg_status tg_stream_open(tg_client *client, const tg_consumer_config *config, tg_stream **out, tg_error *error);
/* The next record, valid until the next call with this stream. In order within a partition, in no order between them.
 * TG_TIMEOUT; TG_END of a bounded stream. TG_ERR_OFFSET_EVICTED only with TG_RETRY_DISABLED: the next call goes on at
 * the first record there is; otherwise the stream does so by itself, and on_gap tells. TG_ERR_TOPIC_NOT_FOUND when it
 * was deleted. TG_ERR_MAX_RETRY_REACHED. After another error the stream has ended: only close it. */
TG_API tg_status tg_stream_next(tg_stream *stream, int64_t timeout_ms, const tg_record **record, tg_error *error);
/* Becomes readable when tg_stream_next(stream, 0, …) has something to do. Call that until TG_TIMEOUT before waiting. */
TG_API int tg_stream_fd(const tg_stream *stream);
/* Marks all that was handed out as seen. TG_ERR_NO_OFFSET_MANAGEMENT unless a strategy is set. */
TG_API tg_status tg_offset_commit(tg_stream *stream, tg_error *error);
/* Saves the marks at the server; nothing new is TG_OK without asking it. */
TG_API tg_status tg_offset_flush(tg_stream *stream, tg_error *error);
/* Frees the stream whatever the result; with TG_OFFSETS_AUTO it flushes first, and that may fail. */
TG_API tg_status tg_stream_close(tg_stream *stream, tg_error *error);

/* key: NULL = none; not NULL with length 0 = an empty key. len may be NULL. A 0 byte follows key and value. */
TG_API const void *tg_record_key(const tg_record *record, size_t *len);
TG_API const void *tg_record_value(const tg_record *record, size_t *len);
TG_API int64_t tg_record_offset(const tg_record *record);
TG_API int32_t tg_record_partition(const tg_record *record);
TG_API int64_t tg_record_timestamp(const tg_record *record);
TG_API tg_record *tg_record_retain(const tg_record *record); /* a copy of one's own; NULL: no memory */
TG_API void tg_record_free(tg_record *record);               /* of tg_record_retain only */

/* ---- admin ---- */

typedef struct tg_topic_spec {
	size_t size; /* sizeof(tg_topic_spec) */
	uint32_t partitions;
	uint32_t replication_factor;
	int64_t retention_ms; /* 0 = for ever */
	int64_t max_bytes;    /* of a partition; 0 = no limit */
} tg_topic_spec;

#define TG_TOPIC_SPEC_INIT                                                                                             \
	{                                                                                                                  \
		sizeof(tg_topic_spec), 1, 1, 0, 0                                                                              \
	}

typedef struct tg_partition_info {
	int32_t partition;
	int64_t start_offset; /* the first kept */
	int64_t end_offset;   /* the next to be assigned */
	int64_t records;
	int64_t bytes;
} tg_partition_info;

typedef struct tg_topic_info {
	const char *name;
	uint32_t partition_count;
	uint32_t replication_factor;
	int64_t created_ms;                  /* 0 in lists */
	const tg_partition_info *partitions; /* NULL in lists */
} tg_topic_info;

typedef struct tg_consumer_offset {
	const char *consumer_id;
	const char *topic;
	int32_t partition;
	int64_t offset; /* of the last record seen */
} tg_consumer_offset;

/* Called once an item, which is valid during the call; false ends the list early. */
typedef bool (*tg_topic_visit)(void *context, const tg_topic_info *topic);
typedef bool (*tg_consumer_offset_visit)(void *context, const tg_consumer_offset *offset);

/* spec NULL = one partition, kept for ever. TG_ERR_TOPIC_EXISTS: with another shape; the same one is TG_OK. */
TG_API tg_status tg_topic_create(tg_client *client, const char *topic, const tg_topic_spec *spec, tg_error *error);
TG_API tg_status tg_topic_delete(tg_client *client, const char *topic, tg_error *error); /* TG_ERR_TOPIC_NOT_FOUND */
TG_API tg_status tg_topic_list(tg_client *client, tg_topic_visit visit, void *context, tg_error *error);
TG_API tg_status tg_topic_describe(tg_client *client, const char *topic, tg_topic_visit visit, void *context,
								   tg_error *error); /* TG_ERR_TOPIC_NOT_FOUND */
/* Where the named consumers of a topic are. TG_ERR_TOPIC_NOT_FOUND. */
TG_API tg_status tg_consumer_offsets(tg_client *client, const char *topic, tg_consumer_offset_visit visit,
									 void *context, tg_error *error);
/* Forgets a consumer's positions in all partitions. TG_ERR_TOPIC_NOT_FOUND, TG_ERR_GROUP_NOT_FOUND. */
TG_API tg_status tg_consumer_offset_delete(tg_client *client, const char *consumer_id, const char *topic,
										   tg_error *error);

/* ---- any other call ---- */

typedef struct tg_reply {
	int http;   /* 200 to 299 */
	char *text; /* JSON of the server, with a 0 behind it */
	size_t len;
} tg_reply;

/* A call of the server's API that has no function here. path: from / on, percent-encoded. json: the body, NULL = none.
 * Any status of the admin calls. */
TG_API tg_status tg_request(tg_client *client, const char *method, const char *path, const char *json, tg_reply *reply,
							tg_error *error);
TG_API void tg_reply_free(tg_reply *reply); /* what it holds; {0} is fine */

#ifdef __cplusplus
}
#endif

#endif
