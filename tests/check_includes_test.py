#!/usr/bin/env python3
"""Plants violations of the include rules and sees each one found."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).with_name("check_includes.py")

# A tree that is in order: every edge that DESIGN allows is there once.
CLEAN = {
    "main.c": ["cli/cli.h"],
    "base/str.h": [],
    "base/buf.c": ["base/str.h", "<string.h>"],
    "config/config.h": ["base/str.h"],
    "db/pool.h": ["base/str.h"],
    "db/db_private.h": [],
    "db/pool.c": ["db/pool.h", "db/db_private.h", "sql/all.h", "<libpq-fe.h>"],
    "log/append.h": ["base/str.h"],
    "log/append.c": ["db/pool.h", "sql/log.h"],
    "auth/token.h": [],
    "auth/token.c": ["db/pool.h", "<jwt.h>", "<sodium.h>", "<jansson.h>", "sql/auth.h"],
    "http/server.h": ["base/str.h"],
    "http/server.c": ["<microhttpd.h>", "<nghttp2/nghttp2.h>", "<zlib.h>"],
    "api/streaming/produce.h": [],
    "api/streaming/produce.c": ["api/streaming/produce.h", "http/server.h", "auth/token.h", "log/append.h",
                                "config/config.h", "<jansson.h>"],
    "cli/cli.h": [],
    "cli/cli.c": ["api/streaming/produce.h", "config/config.h", "<jansson.h>"],
}

VIOLATIONS = [
    ("base/bad.c", "db/pool.h"),
    ("base/bad.c", "config/config.h"),
    ("base/bad.h", "log/append.h"),
    ("config/bad.c", "db/pool.h"),
    ("db/bad.c", "log/append.h"),
    ("db/bad.c", "http/server.h"),
    ("db/bad.c", "config/config.h"),
    ("log/bad.c", "http/server.h"),
    ("log/bad.c", "auth/token.h"),
    ("log/bad.c", "config/config.h"),
    ("log/bad.h", "api/streaming/produce.h"),
    ("auth/bad.c", "log/append.h"),
    ("auth/bad.c", "http/server.h"),
    ("http/bad.c", "log/append.h"),
    ("http/bad.c", "auth/token.h"),
    ("http/bad.c", "db/pool.h"),
    ("http/bad.c", "config/config.h"),
    ("api/bad.c", "cli/cli.h"),
    ("api/streaming/bad.c", "cli/cli.h"),
    ("log/bad.c", "db/db_private.h"),
    ("cli/bad.c", "sql/log.h"),
    ("http/bad.c", "sql/log.h"),
    ("log/bad.c", "<libpq-fe.h>"),
    ("main.c", "<libpq-fe.h>"),
    ("api/bad.c", "<jwt.h>"),
    ("cli/bad.c", "<sodium.h>"),
    ("api/bad.c", "<microhttpd.h>"),
    ("api/bad.c", "<nghttp2/nghttp2.h>"),
    ("base/bad.c", "<jansson.h>"),
    ("log/bad.c", "<jansson.h>"),
    ("http/bad.c", "<jansson.h>"),
    ("log/bad.c", "<zlib.h>"),
    ("log/bad.c", "libpq-fe.h"),
    ("base/bad.c", "str.h"),
    ("log/bad.c", "log/../http/server.h"),
    ("log/bad.c", "<base/str.h>"),
    ("log/bad.c", "log/gone.h"),
    ("log/bad.c", "MACRO"),
    ("other/bad.c", "base/str.h"),
]


def write_tree(root, files):
    for name, includes in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = ["/* #include is only looked for at the start of a line */"]
        for include in includes:
            is_bare = include.startswith("<") or include == "MACRO"
            lines.append(f"#include {include}" if is_bare else f'# include "{include}"')
        path.write_text("\n".join(lines) + "\n")


def run(files):
    with tempfile.TemporaryDirectory() as directory:
        write_tree(pathlib.Path(directory), files)
        return subprocess.run([sys.executable, SCRIPT, directory], capture_output=True, text=True, check=False)


class CheckIncludes(unittest.TestCase):
    def test_a_tree_in_order_passes(self):
        result = run(CLEAN)
        self.assertEqual(result.returncode, 0, result.stdout)

    def test_an_empty_tree_fails(self):
        self.assertNotEqual(run({}).returncode, 0)

    def test_every_planted_violation_is_found_where_it_is(self):
        for name, include in VIOLATIONS:
            with self.subTest(file=name, include=include):
                result = run({**CLEAN, name: [*CLEAN.get(name, []), include]})
                self.assertEqual(result.returncode, 1, result.stdout)
                found = result.stdout.strip().split("\n")[:-1]
                self.assertEqual(len(found), 1, result.stdout)
                self.assertTrue(found[0].startswith(name + ":"), result.stdout)


if __name__ == "__main__":
    unittest.main()
