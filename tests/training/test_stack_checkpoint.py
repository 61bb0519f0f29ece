"""Checkpoints of a stack: training that goes on from one ends as if nothing had happened, to the last digit."""

import json
import signal

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from harness.config import TrainConfig
from harness.interrupts import SIGNALS
from harness.method_config import (
    AdapterConfig,
    BitFitConfig,
    FullConfig,
    HeadConfig,
    IA3Config,
    LayerNormConfig,
    LoraConfig,
    PeftConfig,
    PrefixConfig,
    TopLayersConfig,
)
from harness.training.loop import predict
from harness.training.stack_checkpoint import StackCheckpoint, temporary_folder
from tests.fixtures.training import build, rows, train

STEPS = 21  # 3 epochs of 7


def a_weight(classifier):
    """Something that changes in training, as scores after an epoch do."""
    return float(classifier.head.weight.detach().sum())


class KilledError(Exception):
    """Takes the place of SIGKILL: nothing is written on its way."""


def trained(path, config, *, die_at=None, write_at=None, seconds=1e9, count=1, bf16=False, capture=None, **settings):
    """Train until the end, or until `die_at`; a checkpoint is written after step `write_at`.

    Returns everything that a record and its files hold, and what the checkpoint said.
    """
    seeds = list(range(count))
    configs = config if isinstance(config, list) else [config] * count
    rates = settings.pop("rates", [1e-2, 1e-3, 3e-3][:count])
    classifier = build(configs, seeds, dropout=0.1, bf16=bf16)
    torch.manual_seed(0)
    said, resumed, checkpoint = [], [], None
    if path is not None:
        checkpoint = StackCheckpoint(
            path, {"runs": seeds}, seconds=seconds, say=said.append, on_resume=lambda *at: resumed.append(at)
        )

        def look():
            step = checkpoint._stack.training.step
            if step == write_at:
                checkpoint.write()
            if step == die_at:
                raise KilledError

        checkpoint.look = look
    options = TrainConfig(epochs=3, batch_size=32, **settings)
    try:
        result = train(
            classifier, rows(), options, learning_rates=rates, seeds=seeds, bf16=bf16, capture=capture,
            checkpoint=checkpoint, on_epoch=lambda epoch: [epoch, a_weight(classifier)],
        )  # fmt: skip
    except KilledError:
        return None, said, resumed
    kept = {
        "losses": result.losses,
        "curves": [result.block_losses(replica) for replica in range(count)],
        "diverged": result.diverged_at,
        "evaluations": result.evaluations,
        "examples": result.examples,
        "padding": result.padding_share,
        "outputs": predict(classifier, rows(40, seed=1), bf16=bf16),
        "parameters": [parameter.detach().float().numpy().copy() for parameter in classifier.parameters()],
    }
    return kept, said, resumed


def assert_equal(found, expected):
    assert found.keys() == expected.keys()
    for name in expected:
        np.testing.assert_equal(found[name], expected[name], err_msg=name)  # to the last digit; NaN equals NaN


METHODS = [
    AdapterConfig(bottleneck_size=4), FullConfig(), TopLayersConfig(layers=1), HeadConfig(), LayerNormConfig(),
    BitFitConfig(), LoraConfig(rank=2, dropout=0.1), IA3Config(), PrefixConfig(virtual_tokens=3),
    PeftConfig(type="LORA", options={"r": 2, "lora_dropout": 0.1}), PeftConfig(type="IA3"),
    PeftConfig(type="PREFIX_TUNING", options={"num_virtual_tokens": 3}),
]  # fmt: skip


@pytest.mark.parametrize("config", METHODS, ids=lambda config: getattr(config, "type", config.name))
def test_every_method_goes_on_to_the_last_digit(tmp_path, config):
    """Written in the middle of the second epoch; the steps between that and the death are trained again."""
    undisturbed, _, _ = trained(None, config)
    path = tmp_path / "stack.safetensors"
    assert trained(path, config, write_at=10, die_at=12)[0] is None
    resumed, said, at = trained(path, config)
    assert (said, at) == ([], [(10, STEPS)])
    assert_equal(resumed, undisturbed)


@pytest.mark.parametrize(
    ("options", "step"),
    [
        ({}, 1),
        ({}, 7),  # the end of an epoch, which is then evaluated again
        ({}, 8),
        ({}, 20),
        ({}, STEPS),
        ({"bf16": True}, 9),
        ({"micro_batch_size": 5}, 9),
        ({"bf16": True, "micro_batch_size": 12, "optimizer": "bert_adam"}, 9),
        ({"optimizer": "bert_adam", "weight_decay": 0.1}, 16),
    ],
)
def test_a_stack_of_three_goes_on_from_any_step(tmp_path, options, step):
    configs = [AdapterConfig(bottleneck_size=size) for size in (2, 5, 8)]
    undisturbed, _, _ = trained(None, configs, count=3, **options)
    path = tmp_path / "stack.safetensors"
    assert trained(path, configs, count=3, write_at=step, die_at=step, **options)[0] is None
    resumed, _, at = trained(path, configs, count=3, **options)
    assert at == [(step, STEPS)]
    assert_equal(resumed, undisturbed)


@pytest.mark.parametrize("rates", [[1e-3, 1e30, 1e-3], [1e30] * 3], ids=["one", "all"])
@pytest.mark.parametrize("step", [4, 6, 9])
def test_replicas_that_have_diverged_stay_so(tmp_path, rates, step):
    """Losses are read every five steps: at step 4 a loss that is not finite has been computed, and not yet seen."""
    config, path = AdapterConfig(bottleneck_size=4), tmp_path / "stack.safetensors"
    undisturbed, _, _ = trained(None, config, count=3, rates=rates)
    assert undisturbed["diverged"][1] is not None
    first, _, _ = trained(path, config, count=3, rates=rates, write_at=step, die_at=step)
    resumed, _, at = trained(path, config, count=3, rates=rates)
    if first is None:
        assert at == [(step, STEPS)]
    assert_equal(resumed, undisturbed)


def test_a_stack_of_which_all_have_diverged_trains_no_further(tmp_path):
    """As it is written where evaluation is interrupted."""
    config, path = AdapterConfig(bottleneck_size=4), tmp_path / "stack.safetensors"
    undisturbed, _, _ = trained(None, config, rates=[1e30])
    checkpoint = StackCheckpoint(path, {"runs": [0]}, seconds=1e9)
    classifier = build([config], [0], dropout=0.1)
    settings = TrainConfig(epochs=3, batch_size=32)
    result = train(classifier, rows(), settings, learning_rates=[1e30], seeds=[0], bf16=False, checkpoint=checkpoint)
    checkpoint.write()
    resumed, _, at = trained(path, config, rates=[1e30])
    assert at == [(result.step, STEPS)] and result.step < STEPS
    assert_equal(resumed, undisturbed)


def test_it_goes_on_twice_and_before_graphs_are_captured(tmp_path):
    """A stand-in for CUDA's capture, which reads and writes the memory that it was recorded with."""
    config, path = AdapterConfig(bottleneck_size=4), tmp_path / "stack.safetensors"

    def capture(run):
        result = torch.full((2,), torch.nan)
        return lambda: result.copy_(run()), result

    undisturbed, _, _ = trained(None, config, count=2, capture=capture)
    for step in (8, 15):
        trained(path, config, count=2, capture=capture, write_at=step, die_at=step + 1)
    resumed, _, at = trained(path, config, count=2, capture=capture)
    assert at == [(15, STEPS)]
    assert_equal(resumed, undisturbed)


def test_seconds_of_all_processes_are_counted(tmp_path):
    path, config = tmp_path / "stack.safetensors", HeadConfig()
    trained(path, config, write_at=10, die_at=10)
    head = json.loads(metadata(path)["head"])
    head["values"]["seconds"] = 1000.0
    rewrite(path, head)
    checkpoint = StackCheckpoint(path, {"runs": [0]}, seconds=1e9)
    classifier = build([config], [0], dropout=0.1)
    settings = TrainConfig(epochs=3, batch_size=32)
    result = train(classifier, rows(), settings, learning_rates=[1e-3], seeds=[0], bf16=False, checkpoint=checkpoint)
    assert 1000 < result.seconds < 1100 and result.seconds_before == 1000


def metadata(path):
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return file.metadata()


def rewrite(path, head=None, **tensors):
    """Write the file again, with another head or other tensors, and the hash that belongs to them."""
    from harness.training.stack_checkpoint import _digest

    tensors = load_file(path) | tensors
    tensors = {name: tensor.clone() for name, tensor in tensors.items()}
    text = json.dumps(head) if head else metadata(path)["head"]
    save_file(tensors, path, metadata={"head": text, "sha256": _digest(text, tensors)})


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def flip_a_bit(path):
    data = bytearray(path.read_bytes())
    data[-2000] ^= 1
    path.write_bytes(data)


def change_the_step(path):
    data = path.read_bytes()
    assert data.count(b'\\"step\\": 10') == 1
    path.write_bytes(data.replace(b'\\"step\\": 10', b'\\"step\\": 11'))


def replace_by_weights(path):
    save_file({"parameters.0": torch.zeros(3)}, path)


def raise_the_schema(path):
    head = json.loads(metadata(path)["head"])
    head["made_by"]["runs"] = [0, 1]
    rewrite(path, head)


def of_another_shape(path):
    head = json.loads(metadata(path)["head"])
    head["made_by"]["parameters"][0] = [1, 3]
    rewrite(path, head)


DAMAGE = {
    "truncated": (truncate, "cannot be read"),
    "emptied": (lambda path: path.write_bytes(b""), "cannot be read"),
    "foreign": (lambda path: path.write_bytes(b"hello, world" * 100), "cannot be read"),
    "a bit": (flip_a_bit, "sha256"),
    "a value": (change_the_step, "sha256"),
    "weights": (replace_by_weights, "no checkpoint of a stack"),
    "other runs": (raise_the_schema, "it has other runs"),
    "other parameters": (of_another_shape, "it has other parameters"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_file_of_something_else_is_left_unused_with_one_line(tmp_path, damage):
    spoil, word = DAMAGE[damage]
    path, config = tmp_path / "stack.safetensors", AdapterConfig(bottleneck_size=4)
    undisturbed, _, _ = trained(None, config)
    trained(path, config, write_at=10, die_at=10)
    spoil(path)
    result, said, at = trained(path, config, write_at=5)
    assert at == []
    (line,) = said
    assert str(path) in line and word in line and line.endswith("training starts at the first step")
    assert "\n" not in line
    assert_equal(result, undisturbed)
    assert trained(path, config)[2] == [(5, STEPS)], "the file was replaced by one that serves"


def test_another_version_is_named(tmp_path):
    path = tmp_path / "stack.safetensors"
    said = []
    for torch_version in ("2.12.0", "2.13.0"):
        checkpoint = StackCheckpoint(path, {"torch": torch_version}, seconds=1e9, say=said.append)
        classifier = build([HeadConfig()])
        settings = TrainConfig(epochs=1)
        train(classifier, rows(), settings, learning_rates=[1e-3], seeds=[0], bf16=False, checkpoint=checkpoint)
        checkpoint.write()
    assert said == [f"{path} is not used (torch was 2.12.0, and is 2.13.0 here): training starts at the first step"]


def test_it_is_written_every_so_many_seconds(tmp_path):
    class Clock:
        now = 0.0

        def __call__(self):
            return self.now

    clock, written = Clock(), []
    checkpoint = StackCheckpoint(tmp_path / "stack.safetensors", {}, seconds=10, clock=clock)
    write, look = checkpoint.write, checkpoint.look
    checkpoint.write = lambda: (written.append(checkpoint._stack.training.step), write())

    def step_of_three_seconds():
        clock.now += 3
        look()

    checkpoint.look = step_of_three_seconds
    settings = TrainConfig(epochs=3, batch_size=32)
    train(build([HeadConfig()]), rows(), settings, learning_rates=[1e-3], seeds=[0], bf16=False, checkpoint=checkpoint)
    assert written == [4, 8, 12, 16, 20]


def test_where_it_cannot_be_written_training_goes_on(tmp_path):
    path, config = tmp_path / "file/stack.safetensors", AdapterConfig(bottleneck_size=4)
    (tmp_path / "file").write_text("in the way")
    undisturbed, _, _ = trained(None, config)
    result, said, _ = trained(path, config, write_at=10)
    (line,) = [line for line in said if "could not be written" in line]
    assert str(path) in line and line.endswith("training goes on without")
    assert_equal(result, undisturbed)


def test_a_death_while_writing_leaves_the_file_before(tmp_path, monkeypatch):
    path, config = tmp_path / "stack.safetensors", AdapterConfig(bottleneck_size=4)
    undisturbed, _, _ = trained(None, config)
    trained(path, config, write_at=5, die_at=5)
    temporary_folder(path).mkdir()
    (temporary_folder(path) / ".tmpA1b2C3").write_bytes(path.read_bytes()[:1000])  # what SIGKILL leaves
    resumed, _, at = trained(path, config, write_at=9)
    assert at == [(5, STEPS)]
    assert_equal(resumed, undisturbed)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]

    def interrupted(*_, **__):
        (temporary_folder(path) / ".tmpA1b2C3").write_bytes(b"a part")
        raise KeyboardInterrupt

    monkeypatch.setattr("harness.training.stack_checkpoint.save_file", interrupted)
    with pytest.raises(KeyboardInterrupt):
        trained(path, config, write_at=12)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    monkeypatch.undo()
    assert trained(path, config)[2] == [(9, STEPS)]


def interrupted(path, config, at):
    """Train with a checkpoint, where the forward pass of a step calls `at[step]`."""
    classifier = build([config], [0], dropout=0.1)
    torch.manual_seed(0)
    steps = iter(range(1, 100))
    classifier.register_forward_pre_hook(lambda *_: at.get(next(steps), lambda: None)())
    checkpoint = StackCheckpoint(path, {"runs": [0]}, seconds=1e9)
    settings = TrainConfig(epochs=3, batch_size=32)
    with SIGNALS.handled(), SIGNALS.first(checkpoint.write):
        train(
            classifier, rows(), settings, learning_rates=[1e-2], seeds=[0], bf16=False, checkpoint=checkpoint,
            on_epoch=lambda epoch: [epoch, a_weight(classifier)],
        )  # fmt: skip


def send(*numbers):
    for number in numbers:
        signal.raise_signal(number)


def test_a_signal_waits_for_the_end_of_a_step(tmp_path):
    """Ctrl-C in the middle of a step ends training after it, and the checkpoint is that of the step."""
    path, config = tmp_path / "stack.safetensors", FullConfig()
    undisturbed, _, _ = trained(None, config)
    with pytest.raises(KeyboardInterrupt):
        interrupted(path, config, {12: lambda: send(signal.SIGINT)})
    resumed, _, at = trained(path, config)
    assert at == [(12, STEPS)]
    assert_equal(resumed, undisturbed)


def fail_after_sigterm():
    send(signal.SIGTERM)
    raise RuntimeError("out of memory")


@pytest.mark.parametrize("breaks", [lambda: send(signal.SIGINT, signal.SIGINT), fail_after_sigterm])
def test_a_step_that_is_broken_off_is_not_kept(tmp_path, breaks):
    """By a second Ctrl-C, or by an error while a signal waits: weights and masks are those of half a step."""
    path, config = tmp_path / "stack.safetensors", AdapterConfig(bottleneck_size=4)
    undisturbed, _, _ = trained(None, config)
    with pytest.raises(KeyboardInterrupt):
        interrupted(path, config, {6: lambda: send(signal.SIGUSR1), 12: breaks})
    resumed, _, at = trained(path, config)
    assert at == [(6, STEPS)]
    assert_equal(resumed, undisturbed)
