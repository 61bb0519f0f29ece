"""A GLUE benchmark reproduction harness for adapter tuning (Houlsby et al., ICML 2019)."""

from harness.waiting_threads import settle

settle()  # every import of the package comes through here, and so before torch
