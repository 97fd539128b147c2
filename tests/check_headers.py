#!/usr/bin/env python3
"""Compiles every header of src/ by itself, twice over, with all warnings as errors.

check_headers.py BUILD_DIR [SOURCE_DIR]

The flags are those of a source file of the same directory, from BUILD_DIR/compile_commands.json.
"""
import concurrent.futures
import json
import os
import pathlib
import shlex
import subprocess
import sys


def read_commands(build_dir):
    """Directory of a source file -> the compiler call, without its input and outputs."""
    commands = {}
    for entry in json.loads((build_dir / "compile_commands.json").read_text()):
        words = shlex.split(entry["command"])
        call, skip_next = [], False
        for word in words:
            if skip_next:
                skip_next = False
            elif word in ("-o", "-MT", "-MF", "-c"):
                skip_next = True
            elif word not in ("-MD", "-MMD"):
                call.append(word)
        commands.setdefault(pathlib.Path(entry["file"]).parent, call)
    return commands


def find_call(commands, directory, source_dir):
    """The nearest directory, upwards, that has a source file."""
    while directory != source_dir.parent:
        if directory in commands:
            return commands[directory]
        directory = directory.parent
    return None


def compile_alone(call, name):
    # The second inclusion tests the guard. The declaration is there because an empty file is no C.
    text = f'#include "{name}"\n#include "{name}"\nextern int only_headers;\n'
    result = subprocess.run(call + ["-Werror", "-fsyntax-only", "-x", "c", "-"], input=text, text=True,
                            capture_output=True, check=False)
    return name, result.returncode, result.stderr


def main():
    build_dir = pathlib.Path(sys.argv[1])
    source_dir = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else pathlib.Path(__file__).parent.parent / "src").resolve()
    commands = read_commands(build_dir)
    jobs, failed = [], False
    for header in sorted(source_dir.rglob("*.h")):
        name = str(header.relative_to(source_dir))
        call = find_call(commands, header.parent, source_dir)
        if call is None:
            print(f"{name}: its directory is not compiled")
            failed = True
        else:
            jobs.append((call, name))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, status, output in pool.map(lambda job: compile_alone(*job), jobs):
            if status != 0:
                failed = True
                print(f"{name}: does not compile by itself\n{output}")
    print(f"{len(jobs)} headers")
    return 1 if failed or not jobs else 0


if __name__ == "__main__":
    sys.exit(main())
