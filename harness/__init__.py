"""A GLUE benchmark reproduction harness for adapter tuning (Houlsby et al., ICML 2019)."""

import os

# Threads of OpenMP that wait for each other sleep instead of spinning, unless the user has chosen. OpenMP reads this
# once, when torch loads it, and every import of this package comes through here first.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
