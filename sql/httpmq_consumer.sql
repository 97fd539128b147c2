-- Consumers of the httpmq dialect. All but httpmq_consumer_lock: under that lock, in a later statement.

-- name: httpmq_consumer_lock
-- $1 bigint topic_id, $2 text name
SELECT pg_advisory_xact_lock(hashtextextended($2::text, $1::bigint # 7233162))

-- name: httpmq_consumer_get
-- With what its deadlines and messages are measured by. $1 bigint topic_id, $2 text name, NULL = all
SELECT c.name, c.is_pull, c.max_inflight, c.max_deliver, c.ack_wait_ns, c.filter_subject, c.delivery_group, c.notes,
       c.deliver_subject, c.created_ms, c.delivered_c, c.scanned, c.floor_c, c.floor_s, c.delivered_ms, c.acked_ms,
       c.generation, c.last_member, greatest(h.cap_floor, h.ttl_floor, h.source_floor) AS lost_below,
       (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms,
       coalesce((SELECT s.max_msgs_per_subject > 0 FROM tidegate.httpmq_stream s WHERE s.topic_id = c.topic_id), false) AS has_holes,
       c.pending, c.redelivered, c.due_ms
FROM tidegate.httpmq_consumer c JOIN tidegate.head h ON h.topic_id = c.topic_id AND h.partition = 0
WHERE c.topic_id = $1 AND ($2::text IS NULL OR c.name = $2) ORDER BY c.name

-- name: httpmq_consumer_count
-- $1 bigint topic_id, $2 text name
SELECT count(*), count(*) FILTER (WHERE name = $2) FROM tidegate.httpmq_consumer WHERE topic_id = $1

-- name: httpmq_consumer_insert
-- $1 bigint topic_id, $2 text name, $3 boolean is_pull, $4 bigint max_inflight, $5 max_deliver, $6 ack_wait_ns,
-- $7 text filter_subject, $8 delivery_group, $9 notes, $10 deliver_subject, $11 bigint scanned
INSERT INTO tidegate.httpmq_consumer (topic_id, name, is_pull, max_inflight, max_deliver, ack_wait_ns, filter_subject,
    delivery_group, notes, deliver_subject, scanned, floor_s, created_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11::bigint, $11::bigint,
    (extract(epoch FROM clock_timestamp()) * 1000)::bigint)

-- name: httpmq_consumer_replace
-- What is pending becomes due. $1 bigint topic_id, $2 text name, $3 bigint max_inflight, $4 max_deliver, $5 ack_wait_ns,
-- $6 text delivery_group, $7 notes, $8 deliver_subject
WITH due AS (UPDATE tidegate.httpmq_pending SET deadline_ms = 0 WHERE topic_id = $1 AND consumer = $2)
UPDATE tidegate.httpmq_consumer SET max_inflight = $3, max_deliver = $4, ack_wait_ns = $5, delivery_group = $6, notes = $7,
    deliver_subject = $8, due_ms = 0
WHERE topic_id = $1 AND name = $2

-- name: httpmq_consumer_delete
-- $1 bigint topic_id, $2 text name
DELETE FROM tidegate.httpmq_consumer WHERE topic_id = $1 AND name = $2

-- name: httpmq_consumer_bind
-- $1 bigint topic_id, $2 text name
UPDATE tidegate.httpmq_consumer SET generation = generation + 1 WHERE topic_id = $1 AND name = $2 RETURNING generation

-- name: httpmq_consumer_advance
-- $1 bigint topic_id, $2 text name, $3 bigint delivered_c, $4 bigint scanned, $5 boolean something was sent, $6 bigint member,
-- $7 bigint messages that were not pending before, $8 bigint messages that were sent once before, $9 bigint due_ms
UPDATE tidegate.httpmq_consumer SET delivered_c = $3, scanned = $4,
    delivered_ms = CASE WHEN $5 THEN (extract(epoch FROM clock_timestamp()) * 1000)::bigint ELSE delivered_ms END,
    last_member = CASE WHEN $5 THEN $6 ELSE last_member END,
    pending = pending + $7, redelivered = redelivered + $8, due_ms = $9
WHERE topic_id = $1 AND name = $2

-- name: httpmq_consumer_wait
-- Nothing is due before. $1 bigint topic_id, $2 text name, $3 bigint due_ms
UPDATE tidegate.httpmq_consumer SET due_ms = $3 WHERE topic_id = $1 AND name = $2

-- name: httpmq_consumer_waiting
-- Stored messages behind a sequence: all, those with a subject, and those whose subject matches. $1 bigint topic_id,
-- $2 bigint sequence, $3 text regular expression, NULL = no filter
SELECT (SELECT coalesce(sum(CASE WHEN b.base_offset >= f.first_offset THEN b.records
                ELSE (SELECT count(*) FROM unnest(b.vals) WITH ORDINALITY AS u(v, element)
                      WHERE u.v IS NOT NULL AND b.base_offset + u.element - 1 >= f.first_offset) END), 0)
        FROM tidegate.batch b WHERE b.topic_id = $1 AND b.partition = 0 AND b.last_offset >= f.first_offset)::bigint AS stored,
       (SELECT count(*) FROM tidegate.batch_tag t WHERE $3::text IS NOT NULL AND t.topic_id = $1 AND t.partition = 0
          AND t.record_offset >= f.first_offset) AS tagged,
       (SELECT count(*) FROM tidegate.batch_tag t WHERE $3::text IS NOT NULL AND t.topic_id = $1 AND t.partition = 0
          AND t.record_offset >= f.first_offset AND convert_from(t.tag, 'UTF8') ~ $3) AS matching
FROM (SELECT greatest(h.cap_floor, h.ttl_floor, h.source_floor, $2::bigint) AS first_offset FROM tidegate.head h
      WHERE h.topic_id = $1 AND h.partition = 0) f

-- name: httpmq_consumer_first
-- The first stored message whose subject matches. $1 bigint topic_id, $2 text regular expression
SELECT min(t.record_offset) FROM tidegate.batch_tag t
JOIN tidegate.head h ON h.topic_id = t.topic_id AND h.partition = t.partition
WHERE t.topic_id = $1 AND t.partition = 0 AND t.record_offset >= greatest(h.cap_floor, h.ttl_floor, h.source_floor)
  AND convert_from(t.tag, 'UTF8') ~ $2

-- name: httpmq_pending_count_due
-- Those that are due, and when the next one is. $1 bigint topic_id, $2 text consumer, $3 bigint now_ms
SELECT count(*) FILTER (WHERE deadline_ms <= $3), coalesce(min(deadline_ms) FILTER (WHERE deadline_ms > $3), 0)
FROM tidegate.httpmq_pending WHERE topic_id = $1 AND consumer = $2

-- name: httpmq_pending_over
-- Those that are not sent again: delivered as often as may be, or their message is gone. $1 bigint topic_id, $2 text consumer,
-- $3 bigint now_ms, $4 bigint max_deliver, $5 bigint offsets below were lost, $6 boolean there may be holes above, too
SELECT p.sequence FROM tidegate.httpmq_pending p
WHERE p.topic_id = $1 AND p.consumer = $2
  AND (p.sequence <= $5::bigint OR ($4::bigint > 0 AND p.sends >= $4 AND p.deadline_ms <= $3::bigint)
       OR ($6 AND NOT EXISTS (SELECT FROM tidegate.batch b
               WHERE b.topic_id = $1 AND b.partition = 0 AND b.last_offset >= p.sequence - 1 AND b.base_offset < p.sequence
                 AND b.vals[p.sequence - b.base_offset] IS NOT NULL)))
ORDER BY p.sequence

-- name: httpmq_pending_due
-- $1 bigint topic_id, $2 text consumer, $3 bigint now_ms, $4 bigint limit
SELECT sequence, first_c, sends FROM tidegate.httpmq_pending
WHERE topic_id = $1 AND consumer = $2 AND deadline_ms <= $3 ORDER BY sequence LIMIT $4

-- name: httpmq_pending_put
-- $1 bigint topic_id, $2 text consumer, $3 bigint[] sequences, $4 bigint[] first_c, $5 bigint[] last_c, $6 bigint[] sends,
-- $7 bigint deadline_ms
INSERT INTO tidegate.httpmq_pending (topic_id, consumer, sequence, first_c, last_c, sends, deadline_ms)
SELECT $1, $2, u.sequence, u.first_c, u.last_c, u.sends, $7
FROM unnest($3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[]) AS u(sequence, first_c, last_c, sends)
ON CONFLICT (topic_id, consumer, sequence) DO UPDATE SET last_c = excluded.last_c, sends = excluded.sends,
    deadline_ms = excluded.deadline_ms

-- name: httpmq_pending_settle
-- Messages that are done with leave, and the floor follows: contracts of the dialect, section 6. A row comes back when there
-- were any; is_full: no further message could be delivered before. The range keeps the planner, which cannot know how few they
-- are, from reading all that is pending. $1 bigint topic_id, $2 text consumer, $3 bigint[] sequences, $4 boolean they were
-- acknowledged
WITH gone AS (
    DELETE FROM tidegate.httpmq_pending WHERE topic_id = $1 AND consumer = $2 AND sequence = ANY ($3::bigint[])
      AND sequence >= (SELECT min(s) FROM unnest($3::bigint[]) AS u(s)) AND sequence <= (SELECT max(s) FROM unnest($3::bigint[]) AS u(s))
    RETURNING sequence, first_c, sends),
total AS (SELECT count(*) AS messages, count(*) FILTER (WHERE sends > 1) AS redelivered FROM gone),
rest AS (
    SELECT p.sequence, p.first_c FROM tidegate.httpmq_pending p
    WHERE p.topic_id = $1 AND p.consumer = $2 AND p.sequence <> ALL ($3::bigint[])
      AND p.sequence > (SELECT c.floor_s FROM tidegate.httpmq_consumer c WHERE c.topic_id = $1 AND c.name = $2)
    ORDER BY p.sequence LIMIT 1)
UPDATE tidegate.httpmq_consumer c SET pending = c.pending - t.messages, redelivered = c.redelivered - t.redelivered,
    acked_ms = CASE WHEN $4 THEN (extract(epoch FROM clock_timestamp()) * 1000)::bigint ELSE c.acked_ms END,
    floor_c = CASE WHEN c.pending = t.messages THEN c.delivered_c
                   WHEN EXISTS (SELECT FROM gone g WHERE g.first_c = c.floor_c + 1) THEN (SELECT r.first_c - 1 FROM rest r)
                   ELSE c.floor_c END,
    floor_s = CASE WHEN c.pending = t.messages THEN c.scanned
                   WHEN EXISTS (SELECT FROM gone g WHERE g.first_c = c.floor_c + 1) THEN (SELECT r.sequence - 1 FROM rest r)
                   ELSE c.floor_s END
FROM total t
WHERE c.topic_id = $1 AND c.name = $2 AND t.messages > 0
RETURNING c.pending + t.messages >= c.max_inflight AS is_full, c.floor_c, c.floor_s, c.pending, c.redelivered,
    (SELECT array_agg(g.sequence) FROM gone g) AS sequences

-- name: httpmq_pending_nack
-- The last delivery of a message ends before its time. $1 bigint topic_id, $2 text consumer, $3 bigint sequence,
-- $4 bigint consumer sequence, $5 bigint ms until it comes again
WITH nacked AS (
    UPDATE tidegate.httpmq_pending
    SET deadline_ms = CASE WHEN $5::bigint = 0 THEN 0 ELSE (extract(epoch FROM clock_timestamp()) * 1000)::bigint + $5 END
    WHERE topic_id = $1 AND consumer = $2 AND sequence = $3 AND last_c = $4
    RETURNING deadline_ms)
UPDATE tidegate.httpmq_consumer c SET due_ms = least(c.due_ms, n.deadline_ms) FROM nacked n WHERE c.topic_id = $1 AND c.name = $2

-- name: httpmq_pending_undo
-- Deliveries that reached nobody: the last one of a message that was never delivered before is taken back whole, others become
-- due at once. $1 bigint topic_id, $2 text consumer, $3 bigint[] sequences, $4 bigint[] consumer sequences
WITH undone AS (
    UPDATE tidegate.httpmq_pending p SET deadline_ms = 0, sends = p.sends - 1
    FROM unnest($3::bigint[], $4::bigint[]) AS u(sequence, last_c)
    WHERE p.topic_id = $1 AND p.consumer = $2 AND p.sequence = u.sequence AND p.last_c = u.last_c
    RETURNING p.sequence, p.last_c, p.sends),
counted AS (
    UPDATE tidegate.httpmq_consumer SET due_ms = 0, redelivered = redelivered - (SELECT count(*) FROM undone WHERE sends = 1)
    WHERE topic_id = $1 AND name = $2 AND EXISTS (SELECT FROM undone))
SELECT sequence, last_c, sends FROM undone

-- name: httpmq_pending_forget
-- The consumer's newest delivery never was. $1 bigint topic_id, $2 text consumer, $3 bigint sequence, $4 bigint consumer sequence
WITH gone AS (DELETE FROM tidegate.httpmq_pending WHERE topic_id = $1 AND consumer = $2 AND sequence = $3
              AND last_c = $4 AND sends = 0 RETURNING sequence)
UPDATE tidegate.httpmq_consumer c SET delivered_c = c.delivered_c - 1, scanned = g.sequence - 1, pending = c.pending - 1 FROM gone g
WHERE c.topic_id = $1 AND c.name = $2

-- name: httpmq_member_seen
-- $1 bigint topic_id, $2 text consumer, $3 bigint member
INSERT INTO tidegate.httpmq_member (topic_id, consumer, member, seen_ms)
VALUES ($1, $2, $3, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
ON CONFLICT (topic_id, consumer, member) DO UPDATE SET seen_ms = excluded.seen_ms

-- name: httpmq_member_others
-- Whether another member was seen lately; what was not is forgotten with the next one that leaves. $1 bigint topic_id,
-- $2 text consumer, $3 bigint member, $4 bigint not seen for so many ms
SELECT EXISTS (SELECT FROM tidegate.httpmq_member WHERE topic_id = $1 AND consumer = $2 AND member <> $3
  AND seen_ms >= (extract(epoch FROM clock_timestamp()) * 1000)::bigint - $4::bigint)

-- name: httpmq_members_mark
-- Members of many consumers are there; those of a deleted one are left out. $1 bigint[] topic_ids, $2 text[] consumers,
-- $3 bigint[] members
INSERT INTO tidegate.httpmq_member (topic_id, consumer, member, seen_ms)
SELECT u.topic_id, u.consumer, u.member, (extract(epoch FROM clock_timestamp()) * 1000)::bigint
FROM unnest($1::bigint[], $2::text[], $3::bigint[]) AS u(topic_id, consumer, member)
JOIN tidegate.httpmq_consumer c ON c.topic_id = u.topic_id AND c.name = u.consumer
ORDER BY u.topic_id, u.consumer, u.member
ON CONFLICT (topic_id, consumer, member) DO UPDATE SET seen_ms = excluded.seen_ms

-- name: httpmq_member_leave
-- $1 bigint topic_id, $2 text consumer, $3 bigint member, $4 bigint not seen for so many ms
DELETE FROM tidegate.httpmq_member WHERE topic_id = $1 AND consumer = $2
  AND (member = $3 OR seen_ms < (extract(epoch FROM clock_timestamp()) * 1000)::bigint - $4::bigint)
