"""Programs of the machine that tests use, whether or not they are installed."""

import subprocess


def command(*words):
    """What became of it; of one that is not installed, what a shell would say."""
    try:
        return subprocess.run([str(word) for word in words], capture_output=True, text=True,
                              check=False)
    except FileNotFoundError:
        return subprocess.CompletedProcess(words, 127, "", f"{words[0]} is not installed")
