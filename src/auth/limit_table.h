/*
 * auth/limit_table: what a tenant, and each of its keys, may use; the one list of these limits.
 *
 * X(NAME, "name")   in details, metrics, the table tidegate.tenant_limit and the setting limit_<name>; for one key the
 *                   name ends in _per_key.
 *
 * First the rates, then what is counted while it lasts; of both each key has one, too. Then what only a tenant has.
 */
#ifndef TIDEGATE_AUTH_LIMIT_TABLE_H
#define TIDEGATE_AUTH_LIMIT_TABLE_H

#define LIMIT_RATES(X)                                                                                                 \
	X(REQUESTS_PER_SECOND, "requests_per_second")                                                                      \
	X(BYTES_PER_SECOND, "bytes_per_second")                                                                            \
	X(RECORDS_PER_SECOND, "records_per_second")

#define LIMIT_COUNTS(X)                                                                                                \
	X(REQUESTS_IN_FLIGHT, "requests_in_flight")                                                                        \
	X(STREAMS, "streams")

#define LIMIT_OF_TENANTS(X)                                                                                            \
	X(STORED_BYTES, "stored_bytes")                                                                                    \
	X(TOPICS, "topics")                                                                                                \
	X(BODY_BYTES, "body_bytes")

#define LIMIT_TABLE(X) LIMIT_RATES(X) LIMIT_COUNTS(X) LIMIT_OF_TENANTS(X)

#endif
