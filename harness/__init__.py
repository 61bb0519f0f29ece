"""A GLUE benchmark reproduction harness for adapter tuning (Houlsby et al., ICML 2019)."""
