#!/usr/bin/env python3
"""Turns sql/*.sql and migrations/*.sql into C.

queries OUT_DIR FILE...      each `-- name: verb_noun` block of a file becomes `db_query SQL_VERB_NOUN`
                             in OUT_DIR/sql/<file>.h and OUT_DIR/sql/<file>.c, and all of them one table. A line
                             `-- twin: verb_noun_ephemeral` in it makes the same query of the unlogged batches, too.
migrations OUT_FILE FILE...  NNNN_verb_noun.sql files become one ordered table.
"""
import pathlib
import re
import sys

NAME = re.compile(r"^-- name: ([a-z][a-z0-9_]*)\s*$")
TWIN = re.compile(r"^-- twin: ([a-z][a-z0-9_]*)\s*$")
BATCHES = re.compile(r"\btidegate\.batch\b")
MIGRATION = re.compile(r"^(\d{4})_([a-z0-9_]+)\.sql$")


def c_string(text):
    lines = text.strip("\n").split("\n")
    quoted = [line.replace("\\", "\\\\").replace('"', '\\"') for line in lines]
    return "\n".join(f'\t"{line}\\n"' for line in quoted)


def read_blocks(path):
    """(name, text) of each query, in the order of the file."""
    blocks = []  # names, lines
    for line in path.read_text().split("\n"):
        if match := NAME.match(line):
            blocks.append(([match.group(1)], []))
        elif blocks and (match := TWIN.match(line)):
            blocks[-1][0].append(match.group(1))
        elif blocks and not line.startswith("--") and line.strip():
            blocks[-1][1].append(line)
    queries_of_file = []
    for (name, *twins), lines in blocks:
        if not lines:
            sys.exit(f"{path}: query {name} is empty")
        text = "\n".join(lines).rstrip().rstrip(";")
        queries_of_file.append((name, text))
        for twin in twins:
            queries_of_file.append((twin, BATCHES.sub("tidegate.batch_ephemeral", text)))
    return queries_of_file


def write_if_changed(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def queries(out_dir, files):
    seen, index = {}, 0
    table = ["/* Generated from sql/. */", '#include "db/query.h"', '#include "sql/all.h"']
    for path in files:
        header = [f"/* Generated from sql/{path.name}. */", "#pragma once", '#include "db/query.h"']
        source = [f"/* Generated from sql/{path.name}. */", f'#include "sql/{path.stem}.h"']
        table.insert(2, f'#include "sql/{path.stem}.h"')
        for name, text in read_blocks(path):
            if name in seen:
                sys.exit(f"{path}: query {name} is also in {seen[name]}")
            seen[name] = path
            parameters = max([int(n) for n in re.findall(r"\$(\d+)", text)], default=0)
            header.append(f"extern const db_query SQL_{name.upper()};")
            source.append(f'const db_query SQL_{name.upper()} = {{"{name}", {index}, {parameters},\n{c_string(text)}}};')
            index += 1
        write_if_changed(out_dir / "sql" / f"{path.stem}.h", "\n".join(header) + "\n")
        write_if_changed(out_dir / "sql" / f"{path.stem}.c", "\n".join(source) + "\n")
    all_header = ["/* Generated from sql/. */", "#pragma once", '#include "db/query.h"',
                  f"enum {{ SQL_QUERY_COUNT = {index} }};",
                  "extern const db_query *const SQL_QUERIES[SQL_QUERY_COUNT];"]
    table.append("const db_query *const SQL_QUERIES[SQL_QUERY_COUNT] = {")
    table += [f"\t&SQL_{name.upper()}," for name in seen]
    table.append("};")
    write_if_changed(out_dir / "sql" / "all.h", "\n".join(all_header) + "\n")
    write_if_changed(out_dir / "sql" / "all.c", "\n".join(table) + "\n")


def migrations(out_file, files):
    rows, expected = [], 1
    for path in sorted(files):
        match = MIGRATION.match(path.name)
        if not match or int(match.group(1)) != expected:
            sys.exit(f"{path}: migrations are NNNN_verb_noun.sql, numbered from 0001 without a hole")
        rows.append(f'\t{{{expected}, "{match.group(2)}",\n{c_string(path.read_text())}}},')
        expected += 1
    text = ["/* Generated from migrations/. */", '#include "db/migrate.h"',
            "const db_migration DB_MIGRATIONS[] = {", *rows, "};",
            f"const size_t DB_MIGRATION_COUNT = {len(rows)};"]
    write_if_changed(out_file, "\n".join(text) + "\n")


def main():
    if len(sys.argv) < 3 or sys.argv[1] not in ("queries", "migrations"):
        sys.exit(__doc__)
    files = [pathlib.Path(name) for name in sys.argv[3:]]
    if sys.argv[1] == "queries":
        queries(pathlib.Path(sys.argv[2]), files)
    else:
        migrations(pathlib.Path(sys.argv[2]), files)


main()
