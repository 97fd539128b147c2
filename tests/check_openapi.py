#!/usr/bin/env python3
"""Compares route tables with the OpenAPI descriptions: check_openapi.py [ROOT]

- every route of the tables below stands in its description under the same path, method and name (operationId)
- no description has an operation that has no route
- every $ref leads somewhere
"""
import pathlib
import re
import sys

# description -> the sources whose tables it describes, one route a line
TABLES = {
    "docs/openapi/admin.yaml": ["src/api/admin/routes.c"],
    "docs/openapi/durable.yaml": ["src/api/durable/routes.c"],
    "docs/openapi/subscriptions.yaml": ["src/api/durable/subscription/control.c"],
    "docs/openapi/streaming.yaml": ["src/api/streaming/routes.c", "src/api/probe.c"],
    "docs/openapi/topics.yaml": ["src/api/topics/routes.c"],
    "docs/openapi/httpmq.yaml": ["src/api/httpmq/routes.c"],
}

ROUTE = re.compile(r'HTTP_([A-Z]+), (?:\.pattern = )?"([^"]+)", (?:\.name = )?"(\w+)"')
PATH = re.compile(r"^  (/\S*):\s*$")
METHOD = re.compile(r"^    (get|put|post|delete|patch|head|options):\s*$")
OPERATION_ID = re.compile(r"^      operationId: (\w+)\s*$")
REFERENCE = re.compile(r'\$ref: "#/components/(\w+)/(\w+)"')
COMPONENT_KIND = re.compile(r"^  (\w+):\s*$")
COMPONENT = re.compile(r"^    (\w+):")


def routes(text):
    """(method, path) -> name"""
    return {(method.lower(), pattern): name for method, pattern, name in ROUTE.findall(text)}


def operations(text):
    """(method, path) -> operationId, and the set of (kind, name) of components; from the block layout of the file"""
    found, components = {}, set()
    path = method = kind = None
    in_components = False
    for line in text.splitlines():
        if re.match(r"^\w", line):
            in_components = line.startswith("components:")
            path = method = kind = None
        if in_components:
            if match := COMPONENT_KIND.match(line):
                kind = match[1]
            elif (match := COMPONENT.match(line)) and kind:
                components.add((kind, match[1]))
        elif match := PATH.match(line):
            path, method = match[1], None
        elif (match := METHOD.match(line)) and path:
            method = match[1]
            found[method, path] = None
        elif (match := OPERATION_ID.match(line)) and method:
            found[method, path] = match[1]
    return found, components


def check(description, sources):
    """The differences between one description's text and the texts of its tables."""
    problems = []
    wanted = {}
    for source in sources:
        wanted.update(routes(source))
    found, components = operations(description)
    for (method, path), name in sorted(wanted.items()):
        if (method, path) not in found:
            problems.append(f"{method} {path} ({name}) is missing")
        elif found[method, path] != name:
            problems.append(f"{method} {path}: operationId is {found[method, path]}, the route's name is {name}")
    problems += [f"{method} {path} has no route" for method, path in sorted(found) if (method, path) not in wanted]
    problems += [f"#/components/{kind}/{name} does not exist"
                 for kind, name in sorted(set(REFERENCE.findall(description)) - components)]
    if not wanted:
        problems.append("no route was found in the sources")
    return problems, len(wanted)


def main():
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent
    failed = False
    for name, tables in TABLES.items():
        problems, count = check((root / name).read_text(), [(root / table).read_text() for table in tables])
        for problem in problems:
            print(f"{name}: {problem}")
        failed = failed or bool(problems)
        print(f"{name}: {count} routes")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
