-- name: state_read
-- Partition 0 of each topic, with its first live record. is_unsettled: something expired, or was lost in a crash, and is
-- not written down yet. $1 bigint[] topic ids
SELECT t.topic_id, h.next_offset, h.live_records, h.live_bytes, h.last_ms, t.last_read_ms, n.now_ms,
       coalesce(CASE WHEN b.records = b.last_offset - b.base_offset + 1 THEN greatest(b.base_offset, f.lost_below)
                     ELSE (SELECT b.base_offset + u.element - 1 FROM unnest(b.vals) WITH ORDINALITY AS u(v, element)
                           WHERE u.v IS NOT NULL AND b.base_offset + u.element - 1 >= f.lost_below
                           ORDER BY u.element LIMIT 1) END,
                h.next_offset) AS start_offset,
       (t.ttl_ms > 0 AND h.live_records > 0 AND coalesce(b.committed_ms < n.now_ms - t.ttl_ms, false))
           OR (h.is_ephemeral AND NOT EXISTS (SELECT FROM tidegate.ephemeral_mark m
                                              WHERE m.topic_id = h.topic_id AND m.partition = h.partition)) AS is_unsettled,
       h.is_dest
FROM unnest($1::bigint[]) WITH ORDINALITY AS a(topic_id, place)
JOIN tidegate.topic t ON t.topic_id = a.topic_id
JOIN tidegate.head h ON h.topic_id = a.topic_id AND h.partition = 0
CROSS JOIN LATERAL (SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms) n
CROSS JOIN LATERAL (SELECT greatest(h.cap_floor, h.ttl_floor, h.source_floor) AS lost_below) f
LEFT JOIN LATERAL (
    (SELECT l.records, l.base_offset, l.last_offset, l.committed_ms, l.vals FROM tidegate.batch l
     WHERE NOT h.is_ephemeral AND l.topic_id = a.topic_id AND l.partition = 0 AND l.last_offset >= f.lost_below
     ORDER BY l.last_offset LIMIT 1)
    UNION ALL
    (SELECT e.records, e.base_offset, e.last_offset, e.committed_ms, e.vals FROM tidegate.batch_ephemeral e
     WHERE h.is_ephemeral AND e.topic_id = a.topic_id AND e.partition = 0 AND e.last_offset >= f.lost_below
     ORDER BY e.last_offset LIMIT 1)
) b ON true
ORDER BY a.place

-- name: state_touch
-- $1 bigint[] topic ids
UPDATE tidegate.topic t SET last_read_ms = greatest(t.last_read_ms, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
FROM (SELECT topic_id FROM tidegate.topic WHERE topic_id = ANY ($1) ORDER BY topic_id FOR UPDATE) l
WHERE t.topic_id = l.topic_id
