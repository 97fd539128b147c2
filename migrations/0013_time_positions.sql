-- When a position was last committed or reset; 0: never since this column is there.
ALTER TABLE tidegate.group_partition ADD COLUMN committed_ms bigint NOT NULL DEFAULT 0;
