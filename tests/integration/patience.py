"""How long tests wait before they say that something does not come. Every deadline is asked for here,
so that one number, PAWL_TEST_PATIENCE (1 when it is not set), makes all of them longer where programs
are slower than users have them: under sanitizers, on a loaded machine."""

import os

FACTOR = float(os.environ.get("PAWL_TEST_PATIENCE") or 1)


def patient(seconds):
    return seconds * FACTOR
