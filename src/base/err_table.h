/*
 * base/err_table: every error code of the program: name in C, code on the wire, HTTP status.
 *
 * The wire codes are those of the public contracts and never change once released. `http` alone turns a
 * code into a status. docs/errors.md has a line for each; a test compares the two.
 */
#ifndef TIDEGATE_BASE_ERR_TABLE_H
#define TIDEGATE_BASE_ERR_TABLE_H

#define ERR_TABLE(X)                                                                                                   \
	X(INVALID_REQUEST, "invalid_request", 400)                                                                         \
	X(BATCH_TOO_LARGE, "batch_too_large", 400)                                                                         \
	X(RECORD_TOO_LARGE, "record_too_large", 400)                                                                       \
	X(WEBHOOK_URL_REJECTED, "webhook_url_rejected", 400)                                                               \
	X(UNAUTHORIZED, "unauthorized", 401)                                                                               \
	X(TOKEN_INVALID, "token_invalid", 401)                                                                             \
	X(TOKEN_EXPIRED, "token_expired", 401)                                                                             \
	X(FORBIDDEN, "forbidden", 403)                                                                                     \
	X(PRODUCER_FENCED, "producer_fenced", 403)                                                                         \
	X(NOT_FOUND, "not_found", 404)                                                                                     \
	X(TOPIC_NOT_FOUND, "topic_not_found", 404)                                                                         \
	X(GROUP_NOT_FOUND, "group_not_found", 404)                                                                         \
	X(ROUTER_NOT_FOUND, "router_not_found", 404)                                                                       \
	X(METHOD_NOT_ALLOWED, "method_not_allowed", 405)                                                                   \
	X(NOT_ACCEPTABLE, "not_acceptable", 406)                                                                           \
	X(REQUEST_TIMEOUT, "request_timeout", 408)                                                                         \
	X(SUBSCRIPTION_NOT_FOUND, "subscription_not_found", 404)                                                           \
	X(TOPIC_EXISTS_INCOMPATIBLE, "topic_exists_incompatible", 409)                                                     \
	X(SUBSCRIPTION_ALREADY_EXISTS, "subscription_already_exists", 409)                                                 \
	X(FENCED, "fenced", 409)                                                                                           \
	X(INVALID_OFFSET, "invalid_offset", 409)                                                                           \
	X(ALREADY_CLAIMED, "already_claimed", 409)                                                                         \
	X(NO_PENDING_WORK, "no_pending_work", 409)                                                                         \
	X(NOT_A_QUEUE, "not_a_queue", 409)                                                                                 \
	X(ROUTER_CYCLE, "router_cycle", 409)                                                                               \
	X(TOPIC_NOT_EMPTY, "topic_not_empty", 409)                                                                         \
	X(NOT_OWNER, "not_owner", 409)                                                                                     \
	X(SEQUENCE_CONFLICT, "sequence_conflict", 409)                                                                     \
	X(PRODUCER_SEQUENCE_GAP, "producer_sequence_gap", 409)                                                             \
	X(TOPIC_CLOSED, "topic_closed", 409)                                                                               \
	X(TOPIC_IN_USE, "topic_in_use", 409)                                                                               \
	X(TENANT_EXISTS, "tenant_exists", 409)                                                                             \
	X(TENANT_IN_USE, "tenant_in_use", 409)                                                                             \
	X(KEY_NOT_ACTIVE, "key_not_active", 409)                                                                           \
	X(CONTENT_TYPE_MISMATCH, "content_type_mismatch", 409)                                                             \
	X(GONE, "gone", 410)                                                                                               \
	X(OFFSET_EVICTED, "offset_evicted", 410)                                                                           \
	X(PAYLOAD_TOO_LARGE, "payload_too_large", 413)                                                                     \
	X(UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", 415)                                                           \
	X(OFFSET_OUT_OF_RANGE, "offset_out_of_range", 416)                                                                 \
	X(REFUSED, "refused", 422)                                                                                         \
	X(TOPIC_FULL, "topic_full", 422)                                                                                   \
	X(THROTTLED, "throttled", 429)                                                                                     \
	X(HEADERS_TOO_LARGE, "headers_too_large", 431)                                                                     \
	X(INTERNAL, "internal", 500)                                                                                       \
	X(NO_MEMORY, "no_memory", 503)                                                                                     \
	X(UNAVAILABLE, "unavailable", 503)                                                                                 \
	X(OUTCOME_UNKNOWN, "outcome_unknown", 503)                                                                         \
	X(NOT_READY, "not_ready", 503)                                                                                     \
	X(SHUTTING_DOWN, "shutting_down", 503)                                                                             \
	X(TIMEOUT, "timeout", 503)

#endif
