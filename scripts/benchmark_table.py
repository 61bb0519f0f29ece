"""Who takes part in the benchmark, and the table of what was measured."""

from __future__ import annotations

import re
from statistics import mean
from typing import Any, NamedTuple

SWEEP = 15
SIDE_BY_SIDE = 8
_PROCESSES = re.compile(r"(?<=\d)x(\d+)$")


class Peer(NamedTuple):
    """An opponent: what the peer script is asked to do, on every `every`-th row, in how many processes at once."""

    title: str
    method: str
    padding: str
    bf16: bool = False
    every: int = 1
    processes: int = 1


_ENOUGH = 512  # rows from which on a loss must fall: 16 steps, 4 in a quarter
_CLEARLY = 0.98  # of the first quarter's loss
_HUB, _FULL, _LORA = "AdapterHub, adapters", "Trainer, full fine-tuning", "peft's LoRA in Trainer"
_GROUPED = "dynamic padding, length groups"
_BESIDE = f"{SIDE_BY_SIDE} processes side by side, one thread each"  # or another number, see `peer_of`
# An eighth of the rows where padding makes all of them equally long; a quarter for each of eight processes.
PEERS: dict[str, dict[str, Peer]] = {
    "adapter": {
        "adapterhub-padded": Peer(f"{_HUB}, padded to 128, fp32, as its GLUE example runs", "adapter", "max", every=8),
        "adapterhub-dynamic": Peer(f"{_HUB}, dynamic padding, fp32", "adapter", "dynamic"),
        "adapterhub-grouped": Peer(f"{_HUB}, {_GROUPED}, fp32", "adapter", "grouped"),
        "adapterhub-bf16": Peer(f"{_HUB}, dynamic padding, bf16", "adapter", "dynamic", bf16=True),
        "adapterhub-grouped-bf16": Peer(f"{_HUB}, {_GROUPED}, bf16", "adapter", "grouped", bf16=True),
        "adapterhub-grouped-1x8": Peer(
            f"{_HUB}, {_GROUPED}, fp32, {_BESIDE}", "adapter", "grouped", every=4, processes=SIDE_BY_SIDE
        ),
        "adapterhub-grouped-bf16-1x8": Peer(
            f"{_HUB}, {_GROUPED}, bf16, {_BESIDE}", "adapter", "grouped", bf16=True, every=4, processes=SIDE_BY_SIDE
        ),
        "trainer-full": Peer(f"{_FULL}, padded to 128, fp32", "full", "max", every=8),
        "trainer-full-grouped": Peer(f"{_FULL}, {_GROUPED}, fp32", "full", "grouped"),
        "trainer-full-grouped-bf16": Peer(f"{_FULL}, {_GROUPED}, bf16", "full", "grouped", bf16=True),
    },
    "lora": {
        "peft-dynamic": Peer(f"{_LORA}, dynamic padding, fp32", "lora", "dynamic"),
        "peft-grouped": Peer(f"{_LORA}, {_GROUPED}, fp32", "lora", "grouped"),
        "peft-bf16": Peer(f"{_LORA}, dynamic padding, bf16", "lora", "dynamic", bf16=True),
        "peft-grouped-bf16": Peer(f"{_LORA}, {_GROUPED}, bf16", "lora", "grouped", bf16=True),
        "peft-grouped-1x8": Peer(
            f"{_LORA}, {_GROUPED}, fp32, {_BESIDE}", "lora", "grouped", every=4, processes=SIDE_BY_SIDE
        ),
        "peft-grouped-bf16-1x8": Peer(
            f"{_LORA}, {_GROUPED}, bf16, {_BESIDE}", "lora", "grouped", bf16=True, every=4, processes=SIDE_BY_SIDE
        ),
    },
}  # fmt: skip
# method -> the contenders of which ratios are shown; the best-tuned ones that took part, by precision. One that has
# processes side by side stands for those of another number, too.
BASES = {
    ("adapter", "bf16"): ("adapterhub-grouped-bf16", "adapterhub-grouped-bf16-1x8", "trainer-full-grouped-bf16"),
    ("adapter", "fp32"): ("adapterhub-grouped", "adapterhub-grouped-1x8", "trainer-full-grouped"),
    ("lora", "bf16"): ("peft-grouped-bf16", "peft-grouped-bf16-1x8"),
    ("lora", "fp32"): ("peft-grouped", "peft-grouped-1x8"),
}
SIZES = {"adapter": "adapters of size 64", "lora": "LoRA of rank 8 on query and value"}


def peers_of(method: str, precision: str, processes: int = 1) -> dict[str, Peer]:
    """The opponents on a machine of that precision: without bf16 none that uses it, with it only those side by side.

    Those side by side are there in eight processes, and in as many as ours have, if these are several.
    """
    found = {}
    for name, peer in PEERS[method].items():
        if peer.bf16 if peer.processes > 1 and precision == "bf16" else precision == "bf16" or not peer.bf16:
            found[name] = peer
            if peer.processes > 1 and processes > 1:
                other = _with_processes(name, processes)
                found[other] = peer_of(method, other)
    return found


def peer_of(method: str, name: str) -> Peer:
    """The opponent of that name, which may end in another number of processes than those of `PEERS`."""
    peer, count = PEERS[method].get(_with_processes(name, SIDE_BY_SIDE)), processes_of(name)
    if peer is None or count == peer.processes:
        return PEERS[method][name]
    title = peer.title.replace(f"{SIDE_BY_SIDE} processes", f"{count} processes")
    # Each process has the more rows the fewer there are, so that all measure for about as long.
    return peer._replace(title=title, processes=count, every=max(1, peer.every * count // SIDE_BY_SIDE))


def processes_of(name: str) -> int:
    """The number of processes in which a contender trains: 2 of `ours-4x2`, 8 of `peft-grouped-1x8`."""
    found = _PROCESSES.search(name)
    return int(found[1]) if found else 1


def _with_processes(name: str, processes: int) -> str:
    return _PROCESSES.sub(f"x{processes}", name)


def our_names(replicas: list[int], *, on_gpu: bool, method: str = "adapter", processes: int = 1) -> list[str]:
    """Our contenders: `ours-R`, next to adapters `ours-full`, with several processes `ours-RxP`, on a GPU
    `ours-R-graphs` and `ours-1x8`.
    """
    stacks = [f"ours-{count}" for count in replicas]
    return [
        *(["ours-full"] if method == "adapter" else []),
        *stacks,
        *([f"{name}x{processes}" for name in stacks] if processes > 1 else []),
        *([f"{name}-graphs" for name in stacks] + [f"ours-1x{SIDE_BY_SIDE}"] if on_gpu else []),
    ]


def is_contender(name: str, method: str, replicas: list[int]) -> bool:
    """Whether there is such a contender, with whatever number of processes."""
    alike = _with_processes(name, SIDE_BY_SIDE)
    return alike in {*PEERS[method], *our_names(replicas, on_gpu=True, method=method, processes=SIDE_BY_SIDE)}


def problems_of(results: dict[str, list[dict]]) -> list[str]:
    """What would make the comparison unfair: other numbers of trained parameters than ours, or a loss that stays.

    A loss that stays is one only where another one clearly falls: QNLI takes more steps than most measurements have.
    """
    found = []
    ours = {result["method"]: result["trained"] for name, result in _last(results) if name.startswith("ours-")}
    for name, result in _last(results):
        if result["trained"] != ours.get(result["method"], result["trained"]):
            found.append(f"{name} trains {result['trained']:,} parameters, ours {ours[result['method']]:,}")
    losses = _losses(results)
    for name, (before, after) in losses.items() if _can_tell(losses) else ():
        if not after < before:
            found.append(f"{name}: the loss does not fall ({before:.3f} to {after:.3f})")
    return found


def _losses(results: dict[str, list[dict]]) -> dict[str, tuple[float, float]]:
    """Losses of the first and the last quarter of an epoch, means over repetitions, of those that had rows enough."""
    return {
        name: (mean(one["losses"][0] for one in results[name]), mean(one["losses"][1] for one in results[name]))
        for name, result in _last(results)
        if result["examples"] >= _ENOUGH
    }


def _can_tell(losses: dict[str, tuple[float, float]]) -> bool:
    """Whether the steps are enough for a loss to fall clearly."""
    return any(after < _CLEARLY * before for before, after in losses.values())


def tabulate(results: dict[str, list[dict]], machine: dict) -> str:
    """A markdown table of `results`, by contender what it measured in each repetition.

    Rates are means over repetitions. A ratio is of examples per second, those of all replicas counted, within one
    repetition: mean (minimum–maximum) over repetitions.
    """
    rates = {name: [_rate(one) for one in results[name]] for name, _ in _last(results)}
    wanted = (*BASES[machine["method"], machine["precision"]], "ours-1")
    bases = [name for base in wanted for name in rates if base in (name, _with_processes(name, SIDE_BY_SIDE))]
    lines = [*_setting(results, machine), "",
        f"| contender | examples/s | s for {SWEEP} runs | share of peak | peak memory, GB | "
        + " | ".join(f"× {base}" for base in bases) + " |",
        "|---|---:|---:|---:|---:|" + "---:|" * len(bases),
    ]  # fmt: skip
    for name, repetitions in results.items():
        if name not in rates:
            error = next(one["error"] for one in repetitions if "error" in one)
            lines.append(f"| {name} | failed: {error} | | | |" + " |" * len(bases))
            continue
        rate = mean(rates[name])
        cells = [name, f"{rate:.0f}", f"{SWEEP * machine['examples'] / rate:.0f}", _share(repetitions, machine),
                 f"{max(one['peak_bytes'] for one in repetitions) / 1e9:.2f}"]  # fmt: skip
        cells += [_spread([own / base for own, base in zip(rates[name], rates[of], strict=True)]) for of in bases]
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", *_notes(results, machine)]
    return "\n".join(lines)


def _last(results: dict[str, list[dict]]) -> list[tuple[str, dict]]:
    """Contenders that never failed, with their last repetition."""
    return [(name, all_[-1]) for name, all_ in results.items() if not any("error" in one for one in all_)]


def _rate(result: dict) -> float:
    return result["examples"] * result["replicas"] / result["seconds"]


def _spread(values: list[float]) -> str:
    shown = f"{mean(values):.2f}"
    return shown if len(values) == 1 else f"{shown} ({min(values):.2f}–{max(values):.2f})"


def _share(repetitions: list[dict], machine: dict) -> str:
    """The rate of the products that a step needs, over the best measured rate of large products."""
    if "flops" not in repetitions[-1]:
        return ""
    shares = [one["flops"] / one["seconds"] / (machine["peak_gflops"][one["precision"]] * 1e9) for one in repetitions]
    return f"{mean(shares):.0%}".replace("%", " %")


def _setting(results: dict[str, list[dict]], machine: dict) -> list[str]:
    peaks, commit = machine["peak_gflops"], (machine["commit"] or "none")[:10] + (" (dirty)" * bool(machine["dirty"]))
    versions: dict[str, dict[str, Any]] = {}
    for name, result in _last(results):
        versions.setdefault("ours" if name.startswith("ours-") else name.partition("-")[0], result["versions"])
    return [
        f"{machine['task']}, {machine['examples']} examples of {machine['tokens_per_example']:.1f} tokens, one epoch, "
        f"batch 32, {machine['model']}; {SIZES[machine['method']]}; data {machine['source']}",
        "",
        f"{machine['device']}; {machine['precision']}; "
        f"products {peaks['bf16']:.0f} GFLOP/s in bf16, {peaks['fp32']:.0f} in fp32 "
        f"(best of {machine['repetitions'] * 10} of square matrices of {machine['peak_size']}); commit {commit}",
        "",
        "; ".join(f"{who}: {', '.join(f'{name} {one}' for name, one in of.items())}" for who, of in versions.items()),
        "",
        f"Means over {machine['repetitions']} repetitions, in each of which everyone trains in turn; "
        "ratios with minimum and maximum.",
    ]  # fmt: skip


def _notes(results: dict[str, list[dict]], machine: dict) -> list[str]:
    lines = []
    for name in results:
        if not name.startswith("ours-"):
            peer = peer_of(machine["method"], name)
            part = f", every {peer.every}th row" if peer.every > 1 else ""
            lines.append(f"- {name}: {peer.title}{part}{' each' * (part != '' and peer.processes > 1)}")
    if any(processes_of(name) > 1 for name in results if name.startswith("ours-")):
        lines.append("- ours-RxP: P processes side by side, each with R runs in one pass and, on a CPU, one thread")
    lines.append(f"- ours-R: R runs in one pass, examples of all runs counted; times of {SWEEP} runs are those of one "
                 f"pass times {SWEEP} / R")  # fmt: skip
    checkpoints = {name: result["checkpoint"] for name, result in _last(results) if "checkpoint" in result}
    if checkpoints:
        costs = (
            f"{name} {one['bytes'] / 1e6:.0f} MB, {one['seconds']:.2f} s, {one['share']:.2%} of training"
            for name, one in checkpoints.items()
        )
        lines.append(f"- checkpoints at the default interval: {'; '.join(costs)}")
    found = problems_of(results)
    trained = {result["method"]: result["trained"] for _, result in _last(results)}
    counts = ", ".join(f"{method} {count:,}" for method, count in trained.items())
    falls = "every loss falls" if _can_tell(_losses(results)) else "too few steps for losses to tell anything"
    lines += [f"- NOT COMPARABLE: {problem}" for problem in found] or [
        f"- checked: opponents train as many parameters as ours ({counts}); {falls}"
    ]
    return lines
