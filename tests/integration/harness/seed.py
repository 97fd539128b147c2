"""Reads the seed page: its curl commands, the answers it prints for them, and its Python snippets."""

import itertools
import json
import pathlib
import re
import shlex

PAGE = pathlib.Path(__file__).resolve().parents[1] / "seeds" / "44s-streaming.txt"
HOST = "https://api.44s.io:5470"
KEY = "44s_your_api_key"

LINES = PAGE.read_text(encoding="utf-8").splitlines()


def _is_complete(command):
    try:
        shlex.split(command)
    except ValueError:
        return False
    return not command.endswith("\\")


def curl_commands():
    """(command, printed answer) in the order of the page, to the letter."""
    found = []
    at = 0
    while at < len(LINES):
        if not LINES[at].startswith("curl "):
            at += 1
            continue
        command = LINES[at]
        while not _is_complete(command):
            at += 1
            command += "\n" + LINES[at]
        assert LINES[at + 1] == "# Response", LINES[at + 1]
        at += 2
        answer = ""
        while True:
            answer += LINES[at] + "\n"
            at += 1
            try:
                found.append((command, json.loads(answer)))
                break
            except ValueError:
                continue
    return found


def pointed_at(text, url, key):
    """The page's text with nothing but scheme, host, port and key replaced."""
    return text.replace(HOST, url).replace(KEY, key)


def _between(first, last):
    """Lines from the one that begins with `first` up to, not including, the next one that begins with `last`."""
    start = next(i for i, line in enumerate(LINES) if line.startswith(first))
    stop = next(i for i in range(start, len(LINES)) if LINES[i].startswith(last))
    return LINES[start:stop]


def python_client():
    return _between("import requests", "API Reference")


def event_sourcing():
    return _between("# Store all events", "Real-time Analytics")


def page_views():
    return _between("# Stream page views", "# Multiple consumers")


def reference():
    """(method, path) of every call in the page's API reference."""
    return [(method, path) for method, path in itertools.pairwise(LINES)
            if re.fullmatch("GET|POST|PUT|PATCH|DELETE", method) and path.startswith("/")]
