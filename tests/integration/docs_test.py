#!/usr/bin/env python3
"""Checks that what the documents show is what happens.

    docs_test.py --pawl PATH [FILE.md...]     default: README.md and docs/*.md of the repository
    docs_test.py --self-test

A document is one session. Its fenced blocks are played in order, in a scratch folder that is home
to the user `ana`, with `pawl` on PATH, its headers where compilers look, and a copy of the
repository's `examples` beside it:

    ```console            commands after `$ ` (continued by `\\` or lines with `> `, or by a here
                          document) and what each prints, standard error included
    ```json hello.json    a file of that name; any language will do

Blocks within a comment (`<!-- … -->`) are played too: what a session needs and no reader does.
Other blocks are not run. What a command prints is compared line by line, runs of blanks counting
as one. In the printed text

    a line `…`            stands for any number of lines, also none
    `…` in a line         for any text, also none
    `<anything>`          for any text that is not empty
    ids of runs           for an id; the same one wherever the document repeats it, in commands too
    times, durations      for a time, a duration of any unit
    `/home/ana`           for the scratch home

A command without printed text must print nothing and succeed. `$ ` commands keep the folder and
the exported variables; what they leave running is ended with the session.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import sanitizers
from patience import patient

ROOT = Path(__file__).resolve().parent.parent.parent
SECONDS_PER_COMMAND = patient(120)

# --- reading a document --------------------------------------------------------------------------


class Block:
    """A fenced block: where it begins, the words after the fence, its lines."""

    def __init__(self, line, words):
        self.line = line
        self.words = words
        self.lines = []


class Command:
    def __init__(self, line, text):
        self.line = line
        self.text = text
        self.expected = []


def blocks_of(text):
    found = []
    open_block = None
    fence = ""
    indent = 0
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        if open_block is None:
            match = re.match(r"( *)(`{3,}|~{3,})\s*(.*)$", line)
            if match:
                indent, fence = len(match.group(1)), match.group(2)
                open_block = Block(number, match.group(3).split())
        elif bare == fence:
            found.append(open_block)
            open_block = None
        else:
            open_block.lines.append(line[min(indent, len(line) - len(line.lstrip(" "))):])
    if open_block is not None:
        raise ValueError(f"line {open_block.line}: the block is never closed")
    return found


def commands_of(block):
    """The commands of a console block, each with the lines it shall print."""
    commands = []
    lines = iter(enumerate(block.lines, block.line + 1))
    for number, line in lines:
        if not line.startswith("$ "):
            if not commands:
                raise ValueError(f"line {number}: text before the first `$ ` of a console block")
            if commands[-1].text.endswith("\\") or (line.startswith("> ") and
                                                   not commands[-1].expected):
                commands[-1].text += "\n" + line.removeprefix("> ")
            else:
                commands[-1].expected.append(line)
            continue
        command = Command(number, line[2:])
        commands.append(command)
        here = re.search(r"<<-?\s*(['\"]?)(\w+)\1", command.text)
        if here:
            for _, content in lines:
                command.text += "\n" + content
                if content.strip() == here.group(2):
                    break
            else:
                raise ValueError(f"line {number}: the here document never ends")
    return commands


# --- comparing -----------------------------------------------------------------------------------

UNIT = r"(?:ns|µs|us|ms|s|m|h|d|min|sec|seconds?|minutes?|hours?|days?)"
DURATION = rf"(?:\d+(?:\.\d+)?{UNIT})+|\d+(?:\.\d+)? {UNIT}"
TOKENS = re.compile("|".join([
    r"(?P<any>…)",
    r"(?P<some><[A-Za-z][^<>\n]*>)",
    r"(?P<run>\b\d{8}-\d{6}-[0-9a-z]{6}\b)",
    r"(?P<time>\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:\.\d+)?Z?|\b\d\d:\d\d(?::\d\d)?(?:\.\d+)?\b)",
    rf"(?P<duration>\b(?:{DURATION})(?![A-Za-z0-9]))",
    r"(?P<id>\b(?=[0-9a-z]*[a-z])(?=[0-9a-z]*[0-9])[0-9a-z]{6}\b)",
    r"(?P<blank>[ \t]+)",
]))
TIME = (r"(?:\d{4}-\d\d-\d\d[T ])?\d\d:\d\d(?::\d\d)?(?:\.\d+)?Z?")


class Ids:
    """Which id of the document is which id of this session. A run's short name is the last part
    of its long one, so knowing one is knowing both."""

    def __init__(self):
        self.real = {}

    def pattern(self, shown, group):
        if shown in self.real:
            return re.escape(self.real[shown])
        return rf"(?P<{group}>{'[0-9]{8}-[0-9]{6}-' if len(shown) > 6 else ''}[0-9a-z]{{6}})"

    def learn(self, shown, real):
        self.real[shown] = real
        if len(shown) > 6:
            self.real.setdefault(shown[-6:], real[-6:])

    def put_into(self, text):
        # Long ones first: a short one is part of its long one.
        for shown in sorted(self.real, key=len, reverse=True):
            text = re.sub(rf"(?<![0-9a-z]){re.escape(shown)}(?![0-9a-z])", self.real[shown], text)
        return text


def pattern_of(line, ids):
    """A regular expression of a printed line, and the ids that its groups will teach."""
    out, taught, at = [], {}, 0
    line = line.rstrip()
    for match in TOKENS.finditer(line):
        out.append(re.escape(line[at:match.start()]))
        at = match.end()
        kind, text = match.lastgroup, match.group()
        if kind == "any":
            out.append(".*")
        elif kind == "some":
            out.append(".+?")
        elif kind == "time":
            out.append(TIME)
        elif kind == "duration":
            out.append(f"(?:{DURATION})")
        elif kind == "blank":
            out.append(r"[ \t]+")
        elif text in taught.values():
            group = next(g for g, shown in taught.items() if shown == text)
            out.append(f"(?P={group})")
        else:
            group = f"id{len(taught)}"
            pattern = ids.pattern(text, group)
            out.append(pattern)
            if f"<{group}>" in pattern:
                taught[group] = text
    out.append(re.escape(line[at:]))
    return "".join(out) + r"[ \t]*", taught


def match_line(expected, actual, ids):
    """The ids that the line teaches, or None when it is another line."""
    pattern, taught = pattern_of(expected, ids)
    match = re.fullmatch(pattern, actual)
    return {shown: match.group(g) for g, shown in taught.items()} if match else None


def compare(expected, actual, ids):
    """None when `actual` is what `expected` shows, and then the ids are learned; else a sentence.
    Lines `…` are tried short to long; how far the best try came is what the sentence tells."""
    best = (0, 0)

    def walk(e, a, known):
        nonlocal best
        best = max(best, (e, a))
        while e < len(expected):
            if expected[e].strip() in ("…", "..."):
                for later in range(a, len(actual) + 1):
                    answer = walk(e + 1, later, known)
                    if answer is not None:
                        return answer
                return None
            if a == len(actual):
                return None
            trial = Ids()
            trial.real = dict(known)
            taught = match_line(expected[e], actual[a], trial)
            if taught is None:
                return None
            if any(real in trial.real.values() for real in taught.values()):
                return None  # two ids of the document are never one id
            for shown, real in taught.items():
                trial.learn(shown, real)
            known = trial.real
            e, a = e + 1, a + 1
            best = max(best, (e, a))
        return known if a == len(actual) else None

    known = walk(0, 0, dict(ids.real))
    if known is not None:
        ids.real = known
        return None
    e, a = best
    shown = expected[e] if e < len(expected) else "(the end)"
    real = actual[a] if a < len(actual) else "(the end)"
    return f"the document shows  {shown}\n    and pawl prints     {real}"


# --- playing a document --------------------------------------------------------------------------

# Keeps the folder and the exported variables from one command to the next.
SHELL = r"""
. "$SESSION_STATE"
eval "$SESSION_COMMAND"
session_code=$?
{ export -p | grep -v ' SESSION_'; printf 'cd %q\n' "$PWD"; } > "$SESSION_STATE"
exit $session_code
"""


class Session:
    """A scratch home and the commands that were run in it."""

    def __init__(self, pawl):
        self.root = Path(tempfile.mkdtemp(prefix="pawl-docs-"))
        self.home = self.root / "home" / "ana"
        self.home.mkdir(parents=True)
        programs = self.root / "bin"
        programs.mkdir()
        (programs / "pawl").symlink_to(Path(pawl).resolve())
        if (ROOT / "examples").is_dir():
            shutil.copytree(ROOT / "examples", self.home / "examples")
        self.state = self.root / "state"
        self.state.write_text(f"cd {self.home}\n")
        self.environment = {
            "PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin", "HOME": str(self.home),
            "USER": "ana", "LOGNAME": "ana", "SHELL": "/bin/bash", "LANG": "C.UTF-8", "TZ": "UTC",
            "NO_COLOR": "1", "COLUMNS": "100", "CPATH": str(ROOT / "plugins/include"), "TMPDIR": str(self.root),
            "SESSION_STATE": str(self.state), "DOCS_SESSION": str(self.root)} | sanitizers.OPTIONS

    def run(self, command):
        """The lines it printed and its exit code. What it leaves in the background is not waited
        for: the output goes to a file, not to a pipe that a straggler would hold open."""
        with tempfile.TemporaryFile(dir=self.root) as out:
            child = subprocess.Popen(
                ["/bin/bash", "-c", SHELL], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                env=self.environment | {"SESSION_COMMAND": command}, start_new_session=True)
            try:
                code = child.wait(SECONDS_PER_COMMAND)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
                code = None
            out.seek(0)
            text = out.read().decode(errors="replace").replace(str(self.root), "")
        return [line.rstrip() for line in text.splitlines()], code

    def close(self):
        mark = f"DOCS_SESSION={self.root}".encode()
        for patience in range(50):
            left = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc")))
                    if pid != os.getpid() and mark in environment_of(pid)]
            if not left:
                break
            for pid in left:
                try:
                    os.kill(pid, signal.SIGTERM if patience < 10 else signal.SIGKILL)
                except ProcessLookupError:
                    pass
            time.sleep(0.1)
        shutil.rmtree(self.root, ignore_errors=True)


def environment_of(pid):
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def judge(command, session, ids):
    """None, or what is wrong with the command."""
    lines, code = session.run(ids.put_into(command.text))
    expected = list(command.expected)
    while expected and not expected[-1].strip():
        expected.pop()
    while lines and not lines[-1]:
        lines.pop()
    problem = None
    if code is None:
        problem = f"no end within {SECONDS_PER_COMMAND} s"
    elif code < 0 or code in (126, 127):
        problem = f"it could not run or was killed (exit code {code})"
    elif not expected and code != 0:
        problem = f"it failed (exit code {code}) and the document shows nothing of that"
    else:
        problem = compare(expected, lines, ids)
    if problem is None:
        return None
    printed = "\n".join("      | " + line for line in lines[:60])
    return f"{problem}\n    all that it printed:\n{printed}"


def play(path, pawl):
    """Plays one document; returns how many commands ran and the problems."""
    ids, problems, count = Ids(), [], 0
    session = Session(pawl)
    try:
        for block in blocks_of(path.read_text(encoding="utf-8")):
            if block.words[:1] == ["console"]:
                for command in commands_of(block):
                    count += 1
                    problem = judge(command, session, ids)
                    if problem:
                        problems.append(f"{path}:{command.line}: $ {command.text}\n    {problem}")
            elif len(block.words) > 1 and re.fullmatch(r"[\w.-]+(/[\w.-]+)*", block.words[1]):
                target = session.home / block.words[1]
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text("\n".join(block.lines) + "\n", encoding="utf-8")
    except ValueError as error:
        problems.append(f"{path}: {error}")
    finally:
        session.close()
    return count, problems


# --- testing the harness itself ------------------------------------------------------------------

FAKE = """#!/bin/bash
case $1 in
  run) echo "pawl: new home $HOME/.local/state/pawl" >&2
       echo "run 20270101-000000-abc123 · ${2%.json} · 3 tasks"
       echo "  list     succeeded   12.25s"; echo noise; echo noise
       echo "succeeded $(grep -c name "$2") abc123 in 1m02s"; touch ran; exit 1 ;;
  show) [ "$2" = abc123 ] && echo "abc123 at 11:12:13 and $PWD $MARK" ;;
  quiet) ;;
  hang) sleep 1000 & ;;
  fail) exit 3 ;;
esac
"""

GOOD = """# A document

```json sales.json
{"name": "sales"}
```

```console
$ pawl run \\
    sales.json
pawl: new home /home/ana/.local/state/pawl
run 20261120-225801-7k3f9q · sales · 3 tasks
  list   succeeded  0.3s
…
succeeded 1 7k3f9q in 5ms
$ pawl quiet
$ ls ran
ran
$ mkdir -p deeper && cd deeper
$ cat > here.txt <<'END'
$ this is text of the file
END
$ wc -l here.txt
1 here.txt
```

```sh
exit 1  # not run
```

<!-- nobody reads this
```console
$ export MARK=kept
```
-->

- in a list

  ```console
  $ pawl show 7k3f9q
  7k3f9q at 09:00:00 and /home/<place> kept
  $ pawl hang
  $ pawl show nothing-like-it || echo "<not> found"
  <word> f…d
  ```
"""

# One line of a console block, and a word of the complaint that it must cause.
BAD = [
    ("$ pawl quiet\nnot silent", "the end"),
    ("$ pawl fail", "exit code 3"),
    ("$ pawl run sales.json\n…\nsucceeded 1 7k3f9q in 5 apples", "5 apples"),
    ("$ pawl run sales.json\n…\n  list succeeded soon\n…", "soon"),
    ("$ pawl run sales.json\n…\nrun 20261120-225801-7k3f9q · sales · 3 tasks\n…\n"
     "succeeded 1 7k3f9x in 1s", "7k3f9x"),
    ("$ no-such-command-here\n…", "could not run"),
    ("$ pawl run sales.json\n…\nnoise", "the end"),
    ("text first", "before the first"),
]


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        fake = Path(folder) / "fake"
        fake.write_text(FAKE)
        fake.chmod(0o755)
        document = Path(folder) / "document.md"
        document.write_text(GOOD, encoding="utf-8")
        count, problems = play(document, fake)
        if problems:
            print("a right document was refused:", *problems, sep="\n")
            return 1
        if count != 10:
            print(f"{count} commands were found instead of 10")
            return 1
        for text, word in BAD:
            document.write_text(f"```json sales.json\n{{}}\n```\n```console\n{text}\n```\n",
                                encoding="utf-8")
            _, problems = play(document, fake)
            if not problems or word not in "\n".join(problems):
                print(f"this should be refused, with '{word}':\n{text}\ngot:", *problems, sep="\n")
                return 1
    print(f"the harness accepts what is right and refuses {len(BAD)} kinds of wrong")
    return 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pawl", type=Path)
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("files", nargs="*", type=Path)
    args = parser.parse_args()
    if args.self_test:
        return self_test()
    if args.pawl is None or not os.access(args.pawl, os.X_OK):
        parser.error(f"--pawl {args.pawl}: no such program")
    files = args.files or [p for p in [ROOT / "README.md"] if p.exists()] + sorted(
        (ROOT / "docs").glob("*.md"))
    wrong = 0
    for path in files:
        count, problems = play(path, args.pawl)
        print(f"{path}: {count} commands, {len(problems)} wrong", flush=True)
        wrong += len(problems)
        for problem in problems:
            print(problem, flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
