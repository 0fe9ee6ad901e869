"""Whoever starts pawl in an environment of his own adds OPTIONS to it: they make sanitizers write what
they find into the folder that ./dev test looks through. Without them a finding in a worker would be
printed where nobody reads."""

import os

OPTIONS = {name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")}
