#!/usr/bin/env python3
"""`pawl operators check` against operators that break the contract, and against pawl's own.

    operator_check_test.py --pawl PATH --bad LIBRARY --flawed FOLDER --loaded FOLDER
                           --operators FOLDER
"""

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from patience import patient
from warm_program import warm_program

# What each bad operator must fail, and how; all else of it passes or is not looked at.
BAD = {
    "deaf": ("a cancelled attempt ends", "1 of 1 attempts have not ended within 5s"),
    "stuck": ("an attempt ends once", "1 of 1 attempts have not ended within 5s of a cancellation"),
    "crashing": ("an attempt ends once", "the process "),
    "leaking": ("nothing is left behind", "bytes allocated"),
    "opening": ("nothing is left behind", "each thousand attempts leaves descriptors that are open"),
    "staying": ("nothing is left behind", "each thousand attempts leaves threads"),
    "twice": ("an attempt ends once", "`finish` was called twice"),
    "empty": ("an attempt ends once", "the operator ended without a result"),
    "strange": ("an attempt ends once", "an outcome that does not exist: 7"),
    "twin": ("name and summary", "two operators of the library are called twin"),
    "wordless": ("name and summary", "the summary must be one sentence on one line"),
    "wordy": ("name and summary", "the summary must be one sentence on one line"),
    "narrow": ("100 attempts at once", "99 of 100 attempts have not ended within 15s"),
}
# What is said of a library that breaks a rule of the interface before it has an attempt, of one that
# harms its process then, and of one that breaks a rule with its first attempt.
NOT_LOADED = {
    "null_plugin": "pawl_plugin_v1 returned nothing",
    "other_version": "speaks version 2 of the operator interface, this pawl version 1:",
    "short_plugin": "its table pawl_plugin is too short",
    "no_operators": "has no operators",
    "null_operator": "its operator number 1 of 1 is a null pointer",
    "short_operator": "its operator number 1 has a table that is too short",
    "run_and_start": "operator flawed must have exactly one of run and start",
    "neither": "operator flawed must have exactly one of run and start",
    "no_cancel": "operator flawed has start and no cancel",
    "digit_first": "'1lawed' is no name for an operator",
    "hyphen": "'flaw-d' is no name for an operator",
    "no_schema": "the schema of flawed is no JSON object",
    "wrong_schema": 'the schema of flawed: "x-pawl-output" names "out", and there is no such',
    "reserved": 'the schema of flawed: a parameter cannot be called "connection"',
}
HARM = {
    "crashes": "crashed when it was loaded (signal 6)",
    "exits": "ended its process when it was loaded (code 0)",
    "crashes_last": "crashed at the end of its process (signal 6)",
}
WRONG_END = {
    "no_result": "the operator ended without a result",
    "short_result": "the operator's result has a table that is too short",
}
# Pawl's own, with parameters that need nothing of the machine: nobody listens at port 1.
OWN = [
    ("basic", "noop", "{}"),
    ("basic", "sleep", '{"for": "1h"}'),
    ("basic", "sleep", '{"for": "20ms"}'),
    ("basic", "wait_file", '{"path": "nothing"}'),
    ("sqlite", "sqlite", '{"database": ":memory:", "sql": "SELECT 1"}'),
    ("postgres", "postgres", '{"host": "/nowhere", "sql": "SELECT 1"}'),
    ("http", "http", '{"url": "http://127.0.0.1:1/"}'),
    ("http", "wait_http", '{"url": "http://127.0.0.1:1/"}'),
    ("mail", "mail", '{"host": "127.0.0.1", "port": 1, "tls": "none", "from": "a@example.org",'
                     ' "to": "b@example.org", "subject": "s"}'),
]
MANIFESTS = {"plugins/sum.json": '{"numbers": [1, 2, 39]}'}
EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"
# A program that dies with its attempt, and one that leaves a process behind that nobody finds by
# itself, so that the host has to end it.
DIES = """#!/bin/sh
echo '{"type":"ready","protocol":1}'
read -r hello; read -r start; exit 3
"""
NAPS = """#!/bin/sh
echo '{"type":"ready","protocol":1}'
setsid sleep 1000 <&- >&- 2>&- &
while read -r line; do
  case $line in '{"type":"shutdown"'*) exit 0 ;; esac
done
"""
TWICE = warm_program("""  end='{"type":"finish","attempt":'$attempt',"outcome":"succeeded"}'
  printf '%s\\n%s\\n' "$end" "$end"
""")
# Leaves a chain of processes, each of which the host sees when the one above it is gone.
CHAIN = warm_program("""  if [ "$attempt" -eq 50 ]; then
    [ -p "$0.stands" ] || mkfifo "$0.stands"
    setsid "$0" chain <&- >"$0.stands" 2>&- &
    read -r _ <"$0.stands"
  fi
  printf '{"type":"finish","attempt":%s,"outcome":"succeeded"}\\n' "$attempt"
""", at_first="""chain() {
  if [ "$1" -eq 0 ]; then echo; exec sleep 1000; fi
  chain $(($1 - 1)) &
  wait
}
if [ "$1" = chain ]; then
  echo $$ >>"$0.groups"
  chain 300
fi
""")


def check(pawl, library, operator=None, parameters=None, descriptors=None):
    words = [pawl, "operators", "check", str(library)]
    words += ["--operator", operator] if operator else []
    words += ["--with", parameters] if parameters else []
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=patient(400), check=False, preexec_fn=descriptors and (
                              lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors,) * 2)))
    return done.returncode, done.stdout, done.stderr


def program(folder, name, text, processes=2, **more):
    """A manifest and its program."""
    path = Path(folder, name)
    path.write_text(text)
    path.chmod(0o755)
    manifest = Path(folder, f"{name}.json")
    manifest.write_text(json.dumps({"command": [f"./{name}"], "processes": processes, **more}))
    return manifest


def expect(condition, text):
    if not condition:
        sys.exit(text)


def expect_failure(done, of, how):
    """That the check `of` failed, for the reason `how`."""
    code, out, err = done
    expect(code == 1, f"{of}: exit code {code}\n{out}{err}")
    expect(any(line.startswith(f"FAILED  {of} · ") and how in line for line in out.splitlines()),
           f"'{of}' does not fail with '{how}':\n{out}{err}")


def expect_all(done, what):
    """That every check was made, and none failed."""
    code, out, err = done
    expect(code == 0 and "FAILED" not in out and "skipped" not in out,
           f"{what}: exit code {code}\n{out}{err}")


def bad_operators(options):
    for operator, (broken, how) in BAD.items():
        yield lambda name=operator, of=f"{operator}: {broken}", how=how: expect_failure(
            check(options.pawl, options.bad, name), of, how)
    yield lambda: expect_failure(
        check(options.pawl, options.bad, "opening", descriptors=64),
        "opening: nothing is left behind", " of the 64 that a process may have here")
    yield lambda: expect_all(check(options.pawl, options.bad, "good", descriptors=64), "good")
    yield lambda: says_nothing(options)
    yield lambda: as_json(options)


def says_nothing(options):
    code, out, err = check(options.pawl, options.bad, "silent")
    expect(code == 0 and "ok      silent: an attempt ends once · failed\n" in out,
           f"silent: exit code {code}\n{out}{err}")


def as_json(options):
    words = [options.pawl, "operators", "check", options.bad, "--operator", "wordless"]
    done = subprocess.run([*words, "-o", "json"], capture_output=True, text=True,
                          timeout=patient(400), check=False)
    listed = json.loads(done.stdout)
    expect(done.returncode == 1 and any(
        list(one) == ["operator", "check", "outcome", "why"] and one["operator"] == "wordless"
        and one["check"] == "name and summary" and one["outcome"] == "failed" and one["why"]
        for one in listed), f"as JSON: {done}")


def flawed_libraries(options):
    def of(name):
        return check(options.pawl, options.flawed / f"{name}.so")

    for name, how in NOT_LOADED.items():
        yield lambda name=name, how=f"{name}.so: {how}": expect_failure(of(name), "interface", how)
    for name, how in HARM.items():
        yield lambda name=name, how=f"{name}.so: {how}": expect_failure(
            check(options.pawl, options.loaded / f"{name}.so"), "interface", how)
    for name, how in WRONG_END.items():
        yield lambda name=name, how=how: expect_failure(
            of(name), "flawed: an attempt ends once", how)
    yield lambda: expect_failure(check(options.pawl, options.pawl), "interface", str(options.pawl))


def names(options):
    """What is told to who gives a name for a file, or a file for a name."""
    def told(words, how):
        done = subprocess.run([options.pawl, *words], capture_output=True, text=True,
                              timeout=patient(60), check=False)
        expect(done.returncode not in (0, 1) and how in done.stderr, f"{words}: {done}")

    library = options.operators.resolve() / "http.so"
    yield lambda: told(["operators", "check", "http"],
                       f"pawl operators check {library} --operator http")
    yield lambda: told(["operators", "check", "job"], "job is a part of pawl")
    yield lambda: told(["operators", "check", "./nothing.so"], "./nothing.so: no such file")
    yield lambda: told(["schema", "operator", "./http.so"], "./http.so is a file")


def own_operators(options):
    catalog = json.loads((options.operators / "catalog.json").read_text())
    expect({one["name"] for one in catalog} == {name for _, name, _ in OWN},
           "an operator of pawl is not checked here, or is gone")
    for library, operator, parameters in OWN:
        yield lambda path=options.operators / f"{library}.so", name=operator, given=parameters: (
            expect_all(check(options.pawl, path, name, given), f"{name} {given}"))
    for manifest, parameters in MANIFESTS.items():
        yield lambda path=EXAMPLES / manifest, given=parameters: expect_all(
            check(options.pawl, path, None, given), path)


def programs(options, folder):
    def failure(name, text, how, processes=2, of="an attempt ends once"):
        expect_failure(check(options.pawl, program(folder, name, text, processes)),
                       f"{name}: {of}", how)

    def gone():
        manifest = folder / "gone.json"
        manifest.write_text('{"command": ["./nothing"]}')
        expect_failure(check(options.pawl, manifest), "interface",
                       f"its program {folder}/./nothing cannot be run: No such file or directory")

    def in_no_folder():
        manifest = folder / "in_no_folder.json"
        for env, folders in (({}, os.environ["PATH"]), ({"PATH": "/nowhere"}, "/nowhere")):
            manifest.write_text(json.dumps({"command": ["cat-of-nobody"], "env": env}))
            expect_failure(check(options.pawl, manifest), "interface", "its program cat-of-nobody is "
                           f"in none of the folders of PATH, {folders} (its path, or PATH in \"env\",")

    def by_own_path():
        manifest = program(folder, "own_path", warm_program(
            """  printf '{"type":"finish","attempt":%s,"outcome":"succeeded"}\\n' "$attempt"\n"""))
        path = f"{folder}:{os.environ['PATH']}"
        manifest.write_text(json.dumps({"command": ["own_path"], "env": {"PATH": path}}))
        expect_all(check(options.pawl, manifest), "found by PATH of its manifest")

    def wrong():
        manifest = folder / "wrong.json"
        manifest.write_text('{"comand": ["./nothing"], "processes": 0}')
        for how in ('did you mean "command"?', "processes"):
            expect_failure(check(options.pawl, manifest), "interface", how)

    def mute():
        # It is late only after a look at what runs.
        manifest = program(folder, "mute", "#!/bin/sh\nexec sleep 1000\n", start_timeout="1s")
        done = check(options.pawl, manifest)
        for of in ("an attempt ends once", "a cancelled attempt ends", "100 attempts at once",
                   "nothing is left behind"):
            expect_failure(done, f"mute: {of}", "did not get ready")

    def naps():
        code, out, err = check(options.pawl, program(folder, "naps", NAPS))
        expect(code == 0 and "no process" in out, f"naps: exit code {code}\n{out}{err}")

    def litters():
        manifest = program(folder, "litters", warm_program(
            """  sleep 1000 <&- >&- 2>&- &
  printf '{"type":"finish","attempt":%s,"outcome":"succeeded"}\\n' "$attempt"
"""))
        expect_failure(check(options.pawl, manifest), "litters: nothing is left behind",
                       "a hundred attempts leave 100 processes that run on")

    def oversleeps():
        expect_failure(check(options.pawl, program(folder, "oversleeps", NAPS), None, "{}"),
                       "oversleeps: an attempt ends once", "--with")

    def chain():
        expect_all(check(options.pawl, program(folder, "chain", CHAIN, 1)), "a chain")
        left = []
        for group in (folder / "chain.groups").read_text().split():
            with suppress(ProcessLookupError):
                os.killpg(int(group), signal.SIGKILL)
                left.append(group)
        expect(not left, f"chains are left: {left}")

    def found():
        manifest = folder / "found.json"
        manifest.write_text(json.dumps({"command": ["sh", str(EXAMPLES / "plugins/sum.sh")]}))
        expect_all(check(options.pawl, manifest, None, '{"numbers": [1, 2, 39]}'), "found by PATH")

    return [lambda: failure("dies", DIES, "died"),
            lambda: failure("fails", "#!/bin/sh\nexit 3\n", "did not get ready"),
            lambda: failure("again", TWICE, "twice"), gone, in_no_folder,
            by_own_path, wrong, mute, naps, litters, oversleeps, chain, found]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pawl", required=True)
    parser.add_argument("--bad", required=True)
    parser.add_argument("--flawed", required=True, type=Path)
    parser.add_argument("--loaded", required=True, type=Path)
    parser.add_argument("--operators", required=True, type=Path)
    options = parser.parse_args()
    # They wait for most of their time, each for something of its own.
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(8) as pool:
        for made in [pool.submit(one) for one in (
                *bad_operators(options), *flawed_libraries(options), *names(options), *own_operators(options),
                *programs(options, Path(folder)))]:
            made.result()
    return 0


if __name__ == "__main__":
    sys.exit(main())
