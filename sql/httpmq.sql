-- Streams of the httpmq dialect.

-- name: httpmq_lock_tenant
-- Subjects of one tenant change one stream at a time, so that no two overlap. $1 bigint tenant_id
SELECT pg_advisory_xact_lock(7233162, hashint8($1))

-- name: httpmq_notify
-- Other workers forget what they know of the tenant's subjects. $1 bigint tenant_id
SELECT pg_notify('tidegate_httpmq', ($1::bigint)::text)

-- name: httpmq_stream_insert
-- $1 bigint topic_id, $2 bigint tenant_id, $3 text[] subjects, $4 bigint max_consumers, $5 max_msgs, $6 max_bytes, $7 max_age_ns,
-- $8 max_msgs_per_subject, $9 max_msg_size
INSERT INTO tidegate.httpmq_stream (topic_id, tenant_id, subjects, max_consumers, max_msgs, max_bytes, max_age_ns,
    max_msgs_per_subject, max_msg_size)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)

-- name: httpmq_stream_update
-- $1 bigint topic_id, $2 bigint max_msgs, $3 max_bytes, $4 max_age_ns, $5 max_msgs_per_subject, $6 max_msg_size
UPDATE tidegate.httpmq_stream SET max_msgs = $2, max_bytes = $3, max_age_ns = $4, max_msgs_per_subject = $5, max_msg_size = $6
WHERE topic_id = $1

-- name: httpmq_stream_set_subjects
-- $1 bigint topic_id, $2 text[] subjects
UPDATE tidegate.httpmq_stream SET subjects = $2 WHERE topic_id = $1

-- name: httpmq_stream_list
-- The tenant's streams with their configuration. $1 bigint tenant_id, $2 text name, NULL = all
SELECT t.topic_id, t.name, t.created_ms, s.subjects, s.max_consumers, s.max_msgs, s.max_bytes, s.max_age_ns,
       s.max_msgs_per_subject, s.max_msg_size
FROM tidegate.httpmq_stream s JOIN tidegate.topic t ON t.topic_id = s.topic_id
WHERE s.tenant_id = $1 AND ($2::text IS NULL OR t.name = $2) ORDER BY t.name

-- name: httpmq_stream_state
-- What log/state does not tell: when the first live message was stored, and how many consumers there are.
-- $1 bigint[] topic ids, $2 bigint[] offsets of the first live messages
SELECT a.topic_id,
       coalesce((SELECT b.committed_ms FROM tidegate.batch b WHERE b.topic_id = a.topic_id AND b.partition = 0
                 AND b.last_offset >= a.first_offset ORDER BY b.last_offset LIMIT 1), 0) AS first_ms,
       (SELECT count(*) FROM tidegate.httpmq_consumer c WHERE c.topic_id = a.topic_id) AS consumers
FROM unnest($1::bigint[], $2::bigint[]) WITH ORDINALITY AS a(topic_id, first_offset, place) ORDER BY a.place

-- name: httpmq_subject_surplus
-- The newest message of a subject that is one too many. $1 bigint topic_id, $2 bytea subject, $3 bigint messages to keep
SELECT t.record_offset FROM tidegate.batch_tag t
JOIN tidegate.head h ON h.topic_id = t.topic_id AND h.partition = t.partition
WHERE t.topic_id = $1 AND t.partition = 0 AND t.tag = $2
  AND t.record_offset >= greatest(h.cap_floor, h.ttl_floor, h.source_floor)
ORDER BY t.record_offset DESC LIMIT 1 OFFSET $3

-- name: httpmq_subjects_crowded
-- Subjects with more messages than may be. $1 bigint topic_id, $2 bigint messages to keep
SELECT t.tag FROM tidegate.batch_tag t
JOIN tidegate.head h ON h.topic_id = t.topic_id AND h.partition = t.partition
WHERE t.topic_id = $1 AND t.partition = 0 AND t.record_offset >= greatest(h.cap_floor, h.ttl_floor, h.source_floor)
GROUP BY t.tag HAVING count(*) > $2::bigint ORDER BY t.tag

-- name: httpmq_subjects_matching
-- Subjects of messages that are there. $1 bigint topic_id, $2 text regular expression
SELECT DISTINCT t.tag FROM tidegate.batch_tag t
WHERE t.topic_id = $1 AND t.partition = 0 AND convert_from(t.tag, 'UTF8') ~ $2 ORDER BY t.tag
