#!/usr/bin/env python3
"""What a sanitizer finds in a process that nobody waits for reaches the folder of reports.

    sanitizers_test.py PROGRAM KIND...    a program that is wrong in each of these ways"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import sanitizers


def main():
    program, *kinds = sys.argv[1:]
    wrong = 0
    for kind in kinds:
        with tempfile.TemporaryDirectory() as folder:
            options = {name: f"{value}:log_path={folder}/report"
                       for name, value in sanitizers.OPTIONS.items()}
            done = subprocess.run([program, kind], env=os.environ | options, check=False)
            found = [file for file in Path(folder).iterdir() if file.stat().st_size > 0]
            if done.returncode != 0 or not found:
                wrong += 1
                print(f"{kind}: exit code {done.returncode}, {len(found)} reports")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
