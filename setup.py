"""The packages of a wheel: `harness`, and inside it as `harness.conf` the configs, which a checkout has at its top.

The page of a report has a template, a style sheet and a script next to its module, and the record its JSON Schema.
"""

from setuptools import find_namespace_packages, setup

configs = ["harness.conf", *(f"harness.conf.{folder}" for folder in find_namespace_packages("conf"))]
setup(
    packages=[*find_namespace_packages(include=["harness*"]), *configs],
    package_dir={"harness.conf": "conf"},
    package_data={package: ["*.yaml"] for package in configs}
    | {"harness.reporting": ["*.j2", "*.css", "*.js"], "harness.records": ["*.json"]},
)
