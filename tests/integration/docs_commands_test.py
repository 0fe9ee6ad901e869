#!/usr/bin/env python3
"""Checks that the documents name nothing of this repository that is not there.

    docs_commands_test.py --build FOLDER

What docs_test.py cannot play, because it builds, tests or measures for minutes, is taken apart:
the commands in blocks of ```sh``` and in `./dev …`, `cmake …`, `ctest …` and paths within a line.
Verbs, presets, labels and names of tests, scripts, their options and classes, variables, targets
and files must be there. CTest and `./dev help` are asked for what they know.
"""

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

from docs_test import ROOT, blocks_of

FOLDERS = ("bench", "cli", "cmake", "docs", "examples", "migrations", "packaging", "plugins",
           "scheduler", "storage", "tests", "tools")
INLINE = re.compile(r"`((?:[A-Z_]+=\S+ )?(?:\./dev|cmake|ctest|(?:%s|build)/)[^`]*)`"
                    % "|".join(FOLDERS))
# A word in capitals stands for something.
PLACEHOLDER = re.compile(r"[A-Z]{4,}|[*…{]")
BUILD = None  # the folder of this build, set by main()


class Wrong(Exception):
    """A document names what is not there."""


def need(condition, text):
    if not condition:
        raise Wrong(text)


@cache
def source(*paths):
    """All text of these files, and of those in these folders."""
    files = [file for path in paths
             for file in ([ROOT / path] if (ROOT / path).is_file() else (ROOT / path).rglob("*"))]
    return "\n".join(file.read_text(encoding="utf-8", errors="replace") for file in files
                     if file.is_file() and file.suffix != ".pyc" and file.name != Path(__file__).name)


@cache
def presets(kind):
    text = (ROOT / "CMakePresets.json").read_text(encoding="utf-8")
    return {one["name"] for one in json.loads(text)[kind] if not one.get("hidden")}


@cache
def verbs():
    """The verbs of ./dev, each with its lines of help."""
    said = subprocess.run([ROOT / "dev", "help"], capture_output=True, text=True, check=True).stdout
    parts = re.split(r"^  (?=[a-z])", said, flags=re.MULTILINE)[1:]
    return {part.split()[0]: part for part in parts}


@cache
def tests_chosen_by(*words):
    said = subprocess.run(["ctest", "--test-dir", BUILD, "-N", *words], capture_output=True,
                          text=True, check=False)
    found = re.search(r"^Total Tests: (\d+)$", said.stdout, re.MULTILINE)
    need(found, f"ctest does not take {' '.join(words)}: {said.stderr.strip()}")
    return int(found.group(1))


def check_dev(words):
    verb, *rest = words or ["help"]
    need(verb in verbs(), f"./dev has no verb {verb}")
    if verb == "test" and rest and rest[0] in presets("testPresets"):
        rest = rest[1:]
    if verb in ("test", "vm"):
        need(not rest or tests_chosen_by(*rest) > 0, f"no test is chosen by {' '.join(rest)}")
        return
    known = source("bench/run") if verb == "bench" else verbs()[verb]
    for word in rest:
        need(re.search(rf"\b{re.escape(word)}\b", known), f"./dev {verb} does not know {word}")


def check_cmake(words):
    kind = "buildPresets" if "--build" in words else "configurePresets"
    for option, value in zip(words, words[1:]):
        if option == "--preset":
            need(value in presets(kind), f"there is no preset {value}")
        if option == "--install" and not PLACEHOLDER.search(value):
            need(value.removeprefix("build/") in presets("configurePresets"), f"nothing makes {value}")
        if option == "--component":
            need(re.search(rf"COMPONENT {value}\b", source("CMakeLists.txt", "plugins", "cmake")),
                 f"there is no component {value}")


def check_path(path, is_command=False):
    if PLACEHOLDER.search(path):
        return
    place = ROOT / path
    if path.startswith("build/"):
        preset, _, within = path.removeprefix("build/").partition("/")
        need(preset in presets("configurePresets"), f"nothing makes build/{preset}")
        place = BUILD / within
        if within.startswith("Testing/"):
            return  # written by ctest
    need(place.exists(), f"there is no {path}")
    need(not is_command or os.access(place, os.X_OK), f"{path} cannot be run")


def check_script(script, words):
    check_path(script, is_command=True)
    text = source(script)
    if "cli_support.main()" in text:
        text += source("tests/integration/cli_support.py")
    for word in words:
        if word.startswith("-"):
            need(f'"{word}"' in text, f"{script} has no option {word}")
        elif "/" in word:
            check_path(word, is_command=True)
        elif word[0].isupper():
            need(re.search(rf"^class {word}\b", text, re.MULTILINE), f"{script} has no class {word}")


def check(command):
    words = shlex.split(command, comments=True)
    while words and re.match(r"[A-Z_]+=", words[0]):
        variable = words.pop(0).partition("=")[0]
        need(re.search(rf"\b{variable}\b", source("dev", "tests", "bench")), f"{variable} is read nowhere")
    if not words:
        return
    program, *rest = words
    if program == "./dev":
        check_dev(rest)
    elif program == "cmake":
        check_cmake(rest)
    elif program == "ctest":
        need(not rest or tests_chosen_by(*rest) > 0, f"no test is chosen by {' '.join(rest)}")
    elif rest:
        check_script(program, rest)
    else:
        check_path(program)


def commands_of(path):
    """Each command with its line."""
    text = path.read_text(encoding="utf-8")
    within = set()
    for block in blocks_of(text):
        within.update(range(block.line, block.line + len(block.lines) + 2))
        if block.words == ["sh"]:
            yield from enumerate(block.lines, block.line + 1)
    for number, line in enumerate(text.splitlines(), 1):
        if number not in within:
            for match in INLINE.finditer(line):
                yield number, match.group(1)


RIGHT = ["./dev test asan -L unit", "./dev bench noop", "cmake --preset dev && ctest -L docs",
         "tests/integration/recovery_test.py --pawl build/dev/cli/pawl SchedulerDies",
         "PAWL_SIM_SEEDS=1:2 ./dev test", "tests/integration/", "migrations/NNNN_name.sql", "./dev fuzz"]
WRONG = ["./dev tset", "./dev test -L none", "./dev test -R 'no such test'", "./dev bench nop",
         "./dev lint fast", "cmake --preset debug", "cmake --build --preset debug", "ctest -L none",
         "cmake --install build/debug", "cmake --install BUILD --component none",
         "tests/crash/crash_test.py --pawl build/dev/cli/pawl --kils 5", "tests/crash/crush_test.py",
         "tests/integration/recovery_test.py --pawl build/dev/cli/pawl SchedulerLives",
         "tests/integration/recovery_test.py --pawl build/dev/cli/paul", "PAWL_SEEDS=1 ./dev test"]


def problem_of(command):
    try:
        for part in command.split("&&"):
            check(part.strip())
    except (Wrong, ValueError) as why:
        return str(why)
    return None


def main():
    global BUILD
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=Path, required=True)
    BUILD = parser.parse_args().build.resolve()
    wrong = [f"the harness refuses {command}: {problem_of(command)}" for command in RIGHT
             if problem_of(command)]
    wrong += [f"the harness takes {command}" for command in WRONG if not problem_of(command)]
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        count = 0
        for line, command in commands_of(path):
            count += 1
            if problem := problem_of(command):
                wrong.append(f"{path}:{line}: {command}: {problem}")
        print(f"{path}: {count} commands and places")
    print(*wrong, sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
