#!/usr/bin/env python3
"""Builds examples/plugin as its users would, against what pawl installs for them.

    plugin_sdk_test.py --pawl PATH --build FOLDER
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from patience import patient

ROOT = Path(__file__).resolve().parent.parent.parent
EXPECTED = {"include/pawl/operator.h", "include/pawl/operator.hpp",
            "share/cmake/pawl/pawlConfig.cmake", "share/cmake/pawl/pawlConfigVersion.cmake"}


def call(*words, **more):
    done = subprocess.run([str(word) for word in words], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=patient(240), check=False, **more)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, words))}: exit code {done.returncode}\n"
                 f"{done.stdout}{done.stderr}")
    return done.stdout


def run_job(pawl, folder, built):
    """A job with both operators, in a home whose plugins they are."""
    plugins = folder / "home/plugins"
    plugins.mkdir(parents=True)
    for plugin in built.glob("*.so"):
        shutil.copy(plugin, plugins)
    (folder / "home").chmod(0o700)
    job = folder / "mine.json"
    job.write_text(json.dumps({"name": "mine", "tasks": [
        {"id": "room", "operator": "disk_space", "output": "json"},
        {"id": "count", "operator": "countdown"},
        {"id": "tell", "depends_on": ["room", "count"],
         "command": ["echo", "{{ tasks.room.output.capacity > 0 }}"]}]}))
    environment = os.environ | {"PAWL_HOME": str(folder / "home")}
    run = call(pawl, "run", job, env=environment).split()[0]
    for task, log in (("count", "3\n2\n1\n"), ("tell", "true\n")):
        said = call(pawl, "logs", f"{run}/{task}", env=environment)
        if said != log:
            sys.exit(f"the log of {task} is {said!r}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pawl", required=True)
    parser.add_argument("--build", required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pawl-sdk-") as name:
        folder = Path(name)
        prefix, built = folder / "prefix", folder / "build"
        call("cmake", "--install", options.build, "--component", "devel", "--prefix", prefix)
        installed = {str(path.relative_to(prefix)) for path in prefix.rglob("*") if path.is_file()}
        if installed != EXPECTED:
            sys.exit(f"installed were {sorted(installed)}")
        call("cmake", "-S", ROOT / "examples/plugin", "-B", built, f"-DCMAKE_PREFIX_PATH={prefix}",
             "-DCMAKE_C_FLAGS=-Wall -Wextra -Wpedantic -Werror",
             "-DCMAKE_CXX_FLAGS=-std=c++17 -Wall -Wextra -Wpedantic -Werror")
        call("cmake", "--build", built)
        for plugin in ("disk_space", "countdown"):
            call(options.pawl, "operators", "check", built / f"{plugin}.so")
        run_job(options.pawl, folder, built)
    return 0


if __name__ == "__main__":
    sys.exit(main())
