"""The precision of jobs on a cluster is settled before they start, since run ids cover it."""

import pytest

from harness.config import RunConfig, TrainConfig
from harness.sweeps import cluster


@pytest.mark.parametrize(
    ("device", "cpu_has_bf16", "precision"), [("cuda", False, "bf16"), ("cpu", True, "bf16"), ("cpu", False, "fp32")]
)
def test_auto_is_settled_by_what_the_jobs_run_on(monkeypatch, device, cpu_has_bf16, precision):
    monkeypatch.setattr(cluster, "has_bf16", lambda device: cpu_has_bf16)
    asked = RunConfig(train=TrainConfig(seed=3))
    assert cluster.pin_precision(asked, device).train == TrainConfig(seed=3, precision=precision)


def test_a_named_precision_stays():
    asked = RunConfig(train=TrainConfig(precision="fp32"))
    assert cluster.pin_precision(asked, "cuda") is asked
