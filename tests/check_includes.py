#!/usr/bin/env python3
"""Checks who includes whom in src/.

check_includes.py [SOURCE_DIR]

Dependencies point one way: main -> cli -> api -> {http, auth, log} -> db -> base. `http`, `auth` and `log` do not know
each other, `http` does not know the database. Each library has its one place. Linking alone does not enforce this: a
header in a system path compiles anywhere.
"""
import pathlib
import re
import sys

# What a directory of src/ may include besides itself. "sql" stands for the generated headers of the named queries.
ALLOWED = {
    "base": set(),
    "config": {"base"},
    "db": {"base", "sql"},
    "auth": {"base", "db", "sql"},
    "log": {"base", "db", "sql"},
    "http": {"base"},
    "api": {"base", "config", "db", "sql", "auth", "log", "http"},
    "cli": {"base", "config", "db", "auth", "log", "http", "api"},
    "main": {"base", "config", "db", "auth", "log", "http", "api", "cli"},
}

# The bench's raw baseline issues the server's own append statement.
EXCEPTIONS = {("cli/bench/rawlog.c", "sql"), ("cli/bench/case_fleet.c", "sql")}

# Headers of libraries, and the directories that may include them.
LIBRARIES = [
    (re.compile(r"^(libpq-fe\.h|libpq/.*|postgres_ext\.h|pg_config.*\.h|postgresql/.*)$"), {"db"}),
    (re.compile(r"^(jwt\.h|sodium\.h|sodium/.*)$"), {"auth"}),
    (re.compile(r"^openssl/.*$"), {"auth", "http"}),
    (re.compile(r"^(microhttpd\.h|nghttp2/.*|nghttp2\.h)$"), {"http"}),
    (re.compile(r"^(jansson\.h|jansson_config\.h)$"), {"api", "auth", "cli"}),
    (re.compile(r"^(zlib\.h|zstd.*\.h|lz4.*\.h|snappy.*\.h|wslay/.*)$"), {"http"}),
    (re.compile(r"^curl/.*$"), {"api", "cli"}),
    (re.compile(r"^tidegate\.h$"), {"cli"}),  # clients/c, by its public header alone
]

# A header that a directory keeps to itself.
PRIVATE = re.compile(r"(^|_)(private|impl)\.h$")

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>|(\S.*))')


def judge(place, owner, name, is_quoted):
    """What is wrong with `owner` including `name`, or None."""
    if not is_quoted:
        for pattern, directories in LIBRARIES:
            if pattern.match(name) and owner not in directories:
                return f"<{name}> belongs to {', '.join(sorted(directories))}"
        if name.split("/")[0] in ALLOWED:
            return f'<{name}> is our own: write "{name}"'
        return None
    for pattern, _ in LIBRARIES:
        if pattern.match(name):
            return f'"{name}" is a library\'s: write <{name}>'
    target = name.split("/")[0]
    if "/" not in name or ".." in name.split("/") or target not in set(ALLOWED) - {"main"} | {"sql"}:
        return f'"{name}" must be named by its path from src/'
    if target != owner and target not in ALLOWED[owner] and (place, target) not in EXCEPTIONS:
        return f'{owner} must not include {target}: "{name}"'
    if target != owner and PRIVATE.search(name):
        return f'"{name}" is private to {target}'
    return None


def check(source_dir):
    """Lines of what is wrong, and the number of includes that were looked at."""
    wrong, count = [], 0
    for path in sorted(source_dir.rglob("*.[ch]")):
        place = path.relative_to(source_dir)
        owner = place.parts[0] if len(place.parts) > 1 else path.stem
        if owner not in ALLOWED:
            wrong.append(f"{place}: no rule for this directory: see ALLOWED")
            continue
        for number, line in enumerate(path.read_text().split("\n"), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            count += 1
            quoted, system, computed = match.groups()
            if computed:
                problem = f"include by macro: {computed}"
            else:
                problem = judge(str(place), owner, quoted or system, quoted is not None)
            if problem is None and quoted and not quoted.startswith("sql/") and not (source_dir / quoted).exists():
                problem = f'there is no "{quoted}"'
            if problem:
                wrong.append(f"{place}:{number}: {problem}")
    return wrong, count


def main():
    source_dir = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent / "src")
    wrong, count = check(source_dir)
    for line in wrong:
        print(line)
    print(f"{count} includes")
    return 1 if wrong or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
