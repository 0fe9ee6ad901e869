#!/usr/bin/env python3
"""Runs clang-tidy over the sources of a build folder, in parallel, and remembers what was clean.

    tools/tidy.py BUILD [--jobs N] [--match REGEX]

A source is checked again only when something that clang-tidy looked at has changed: the source, a
header of the project that it includes, its compile command, `.clang-tidy` or clang-tidy itself. The
memory is one small file per source in BUILD/tidy; it is safe to delete. Standard library only.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def digest(*parts):
    h = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode()
        h.update(len(data).to_bytes(8, "big") + data)
    return h.hexdigest()


def digest_of_file(path, seen):
    """Hash of a file's bytes, read once per run; None when it is gone."""
    if path not in seen:
        try:
            seen[path] = digest(Path(path).read_bytes())
        except OSError:
            seen[path] = None
    return seen[path]


def tracked_sources():
    listed = subprocess.run(["git", "ls-files", "-z", "--", "*.cpp"], cwd=ROOT, check=True,
                            capture_output=True).stdout.decode()
    return {str(ROOT / name) for name in listed.split("\0") if name}


def project_headers(command, directory):
    """What the source includes from the project, by the compiler that builds it; None when the
    compiler cannot tell (then nothing is remembered)."""
    words = [w for w in shlex.split(command) if Path(w).name != "ccache"]
    out = []
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word in ("-o", "-MF", "-MT", "-MQ"):
            skip = True
        elif word not in ("-c", "-MD", "-MMD"):
            out.append(word)
    answer = subprocess.run(out + ["-MM"], cwd=directory, capture_output=True)
    if answer.returncode != 0:
        return None
    names = answer.stdout.decode().replace("\\\n", " ").split(":", 1)[1].split()
    paths = {os.path.realpath(os.path.join(directory, name)) for name in names}
    return sorted(p for p in paths if p.startswith(str(ROOT) + os.sep))


def is_clean(stamp, key, seen):
    try:
        known = json.loads(stamp.read_text())
    except (OSError, ValueError):
        return False
    if known.get("key") != key:
        return False
    return all(digest_of_file(path, seen) == value for path, value in known["files"].items())


def check(entry, build, key, stamp, seen):
    """Returns (source, seconds, output, ok)."""
    begun = time.monotonic()
    source = entry["file"]
    files = project_headers(entry["command"], entry["directory"])
    before = {p: digest_of_file(p, seen) for p in files} if files is not None else None
    # The command is g++'s: its own warnings and -Werror are not clang-tidy's business.
    answer = subprocess.run(["clang-tidy", "--quiet", "-p", str(build),
                             "--extra-arg=-Wno-unknown-warning-option", "--extra-arg=-Wno-error",
                             source], capture_output=True, text=True)
    ok = answer.returncode == 0
    if ok and before is not None:
        stamp.write_text(json.dumps({"key": key, "files": before}))
    else:
        stamp.unlink(missing_ok=True)
    noise = re.compile(r"^\d+ warnings? (generated|and \d+ errors? generated|treated)|^Suppressed|"
                       r"^Use -header-filter|^Error while processing")
    lines = [line for line in (answer.stdout + answer.stderr).splitlines() if not noise.match(line)]
    return source, time.monotonic() - begun, "\n".join(lines), ok


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=Path)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--match", default="", help="only sources whose path matches")
    args = parser.parse_args()

    build = args.build.resolve()
    commands = json.loads((build / "compile_commands.json").read_text())
    ours = tracked_sources()
    version = subprocess.run(["clang-tidy", "--version"], capture_output=True).stdout
    config = (ROOT / ".clang-tidy").read_bytes()
    memory = build / "tidy"
    memory.mkdir(exist_ok=True)

    seen = {}
    todo = []
    count = 0
    done_before = set()
    for entry in commands:
        entry["file"] = os.path.realpath(os.path.join(entry["directory"], entry["file"]))
        if entry["file"] not in ours or entry["file"] in done_before:
            continue
        if not re.search(args.match, os.path.relpath(entry["file"], ROOT)):
            continue
        done_before.add(entry["file"])
        count += 1
        key = digest(version, config, entry["command"])
        stamp = memory / digest(entry["file"])[:24]
        if not is_clean(stamp, key, seen):
            todo.append((entry, key, stamp))

    failed = 0
    with concurrent.futures.ThreadPoolExecutor(max_workers=args.jobs) as pool:
        running = [pool.submit(check, entry, build, key, stamp, seen) for entry, key, stamp in todo]
        for number, future in enumerate(concurrent.futures.as_completed(running), 1):
            source, seconds, output, ok = future.result()
            print(f"clang-tidy {number}/{len(todo)} {os.path.relpath(source, ROOT)} "
                  f"{seconds:.1f}s{'' if ok else '  FAILED'}", flush=True)
            if not ok:
                failed += 1
                print(output, flush=True)
    print(f"clang-tidy: {count} sources, {count - len(todo)} unchanged since they were clean, "
          f"{failed} with findings")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
