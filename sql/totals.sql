-- What metrics show of the whole, or of one tenant.

-- name: totals_count_topics
SELECT count(*) FROM tidegate.topic

-- name: totals_read
-- Topics by class (ephemeral, memory, disk, fsync), queues, live records and bytes, then what the dialect's other tables
-- hold: routers, leases in flight. $1 bigint tenant_id
SELECT count(*) FILTER (WHERE t.durability = 0), count(*) FILTER (WHERE t.durability = 1),
       count(*) FILTER (WHERE t.durability = 2), count(*) FILTER (WHERE t.durability = 3), count(*) FILTER (WHERE t.kind = 1),
       coalesce(sum(h.live_records), 0)::bigint, coalesce(sum(h.live_bytes), 0)::bigint,
       (SELECT count(*) FROM tidegate.router WHERE tenant_id = $1) AS routers,
       (SELECT count(*) FROM tidegate.topic q JOIN tidegate.lease l ON l.topic_id = q.topic_id
        WHERE q.tenant_id = $1 AND q.kind = 1 AND l.holder IS NOT NULL
          AND l.free_ms > (extract(epoch FROM clock_timestamp()) * 1000)::bigint) AS leases_in_flight
FROM tidegate.topic t
LEFT JOIN LATERAL (SELECT sum(live_records) AS live_records, sum(live_bytes) AS live_bytes FROM tidegate.head
                   WHERE topic_id = t.topic_id) h ON true
WHERE t.tenant_id = $1
