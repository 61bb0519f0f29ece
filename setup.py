"""The packages of a wheel: `harness`, and inside it as `harness.conf` the configs, which a checkout has at its top."""

from setuptools import find_namespace_packages, setup

setup(
    packages=[*find_namespace_packages(include=["harness*"]), "harness.conf"],
    package_dir={"harness.conf": "conf"},
    package_data={"harness.conf": ["**/*.yaml"]},
)
