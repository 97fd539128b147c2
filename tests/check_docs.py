#!/usr/bin/env python3
"""Compares the documentation with the source: check_docs.py [ROOT]

- every setting of src/config/keys.h has a row in docs/configuration.md with its default and range, and stands in
  config/tidegate.conf; neither names a setting that does not exist
- every code of src/base/err_table.h has a row in docs/errors.md with its status, and the other way round
- every relative link in README.md and docs/ leads to a file
"""
import pathlib
import re
import sys

KEY = re.compile(r"^\s*X\((TEXT|CHOICE|NUMBER|SWITCH), (\w+), (.*)\)\s*\\?$", re.MULTILINE)
FIELD = re.compile(r'"(?:[^"\\]|\\.)*"|[^,\s][^,]*')
CODE = re.compile(r'^\s*X\(\w+, "(\w+)", (\d+)\)', re.MULTILINE)
ROW = re.compile(r"^\| `(\w+)` \|(.*)\|$", re.MULTILINE)
SAMPLE_KEY = re.compile(r"^#(\w+) =", re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def settings(root):
    """name -> (default, allowed), as docs/configuration.md writes them"""
    found = {}
    for kind, name, rest in KEY.findall((root / "src/config/keys.h").read_text()):
        fields = [field.strip().strip('"') for field in FIELD.findall(rest)]
        allowed = {"TEXT": "text", "SWITCH": "true, false"}.get(kind)
        if kind == "CHOICE":
            allowed = ", ".join(fields[1].split("|"))
        elif kind == "NUMBER":
            allowed = f"{fields[1]} – {fields[2]}"
        found[name] = (fields[0], allowed)
    return found


def rows(path):
    return {name: [cell.strip() for cell in rest.split(" | ")] for name, rest in ROW.findall(path.read_text())}


def both_ways(problems, wanted, listed, where, what):
    problems += [f"{where}: {what} {name} is missing" for name in wanted if name not in listed]
    problems += [f"{where}: there is no {what} {name}" for name in listed if name not in wanted]


def check_settings(root, problems):
    wanted = settings(root)
    documented = rows(root / "docs/configuration.md")
    both_ways(problems, wanted, documented, "docs/configuration.md", "setting")
    sample = SAMPLE_KEY.findall((root / "config/tidegate.conf").read_text())
    both_ways(problems, wanted, sample, "config/tidegate.conf", "setting")
    for name, (default, allowed) in wanted.items():
        cells = documented.get(name)
        expected = [f"`{default}`" if default else "empty", allowed]
        if cells and cells[:2] != expected:
            problems.append(f"docs/configuration.md: {name} should say {' | '.join(expected)}, not {' | '.join(cells[:2])}")
    return len(wanted)


def check_errors(root, problems):
    wanted = dict(CODE.findall((root / "src/base/err_table.h").read_text()))
    documented = rows(root / "docs/errors.md")
    both_ways(problems, wanted, documented, "docs/errors.md", "code")
    for code, status in wanted.items():
        cells = documented.get(code)
        if cells and cells[0] != status:
            problems.append(f"docs/errors.md: {code} has status {status}, not {cells[0]}")
        if cells and (len(cells) != 3 or not all(cells)):
            problems.append(f"docs/errors.md: {code} needs a status, a meaning and what to do")
    return len(wanted)


def check_links(root, problems):
    count = 0
    for path in [root / "README.md", *sorted((root / "docs").rglob("*.md"))]:
        for link in LINK.findall(path.read_text()):
            target = link.split("#")[0]
            if target and "://" not in link and not link.startswith("mailto:"):
                count += 1
                if not (path.parent / target).exists():
                    problems.append(f"{path.relative_to(root)}: {link} leads nowhere")
    return count


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent).resolve()
    problems = []
    counts = [check(root, problems) for check in (check_settings, check_errors, check_links)]
    if 0 in counts:
        problems.append("a check found nothing to check; has a file changed its form?")
    for problem in problems:
        print(problem)
    print("{} settings, {} error codes, {} links, {} problems".format(*counts, len(problems)))
    return 1 if problems else 0


sys.exit(main())
