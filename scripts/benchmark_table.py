"""Who takes part in the benchmark, and the table of what was measured."""

from __future__ import annotations

from statistics import median

SWEEP = 15
SIDE_BY_SIDE = 8
LORA = ["--method", "lora", "--padding"]
# method -> contender -> (arguments of the peer script, what it is)
PEERS = {
    "adapter": {
        "adapterhub-padded": (["--padding", "max"], "adapters, padded to 128, fp32, as its GLUE example runs"),
        "adapterhub-dynamic": (["--padding", "dynamic"], "adapters, dynamic padding, fp32"),
        "adapterhub-grouped": (["--padding", "grouped"], "adapters, dynamic padding, length groups, fp32"),
        "adapterhub-bf16": (["--padding", "dynamic", "--bf16"], "adapters, dynamic padding, bf16"),
        "trainer-full": (["--method", "full", "--padding", "max"], "Trainer, full fine-tuning, padded to 128, fp32"),
    },
    "lora": {
        "peft-dynamic": ([*LORA, "dynamic"], "peft's LoRA in Trainer, one run at a time, dynamic padding, fp32"),
        "peft-bf16": ([*LORA, "dynamic", "--bf16"], "the same in bf16"),
        "peft-grouped-bf16": ([*LORA, "grouped", "--bf16"], "the same in bf16, in length groups"),
    },
}
# method -> what ratios are of, and the size that is trained
BASES = {
    "adapter": ("adapterhub-padded", "adapterhub-dynamic", "adapterhub-bf16", "ours-1"),
    "lora": ("peft-dynamic", "peft-bf16", "peft-grouped-bf16", "ours-1"),
}
SIZES = {"adapter": "adapters of size 64", "lora": "LoRA of rank 8 on query and value"}


def our_names(replicas: list[int], *, on_gpu: bool, method: str = "adapter") -> list[str]:
    """Our contenders: `ours-R`, on a GPU `ours-R-graphs` and `ours-1x8`, and next to adapters `ours-full`."""
    stacks = [f"ours-{count}" for count in replicas]
    return [
        *(["ours-full"] if method == "adapter" else []),
        *stacks,
        *([f"{name}-graphs" for name in stacks] + [f"ours-1x{SIDE_BY_SIDE}"] if on_gpu else []),
    ]


def middle(rounds: list[dict]) -> dict:
    """What a contender measured in the round of median time, with the `rounds` of all; an error if there is one."""
    if any("error" in result for result in rounds):
        return next(result for result in rounds if "error" in result)
    seconds = [result["seconds"] for result in rounds]
    chosen = sorted(rounds, key=lambda result: result["seconds"])[len(rounds) // 2]
    return chosen if len(rounds) == 1 else chosen | {"rounds": seconds}


def tabulate(results: dict[str, dict], machine: dict) -> str:
    """A markdown table; ratios are examples per second, those of all replicas counted, against the rows `BASES`.

    Of several rounds they are the median of the ratios within a round, and the least and the greatest.
    """
    measured = {name: result for name, result in results.items() if "error" not in result}
    rates = {name: r["examples"] * r.get("replicas", 1) / r["seconds"] for name, r in measured.items()}
    bases, peers = BASES[machine["method"]], PEERS[machine["method"]]
    peaks, commit = machine["peak_gflops"], (machine["commit"] or "none")[:10] + (" (dirty)" * bool(machine["dirty"]))
    lines = [
        f"{machine['task']}, {machine['examples']} examples, one epoch, batch 32, {machine['model']}; "
        f"{SIZES[machine['method']]}; data {machine['source']}; {machine['device']}; "
        f"products {peaks['bf16']:.0f} GFLOP/s in bf16, {peaks['fp32']:.0f} in fp32; commit {commit}",
        "",
        f"| contender | examples/s | s for {SWEEP} runs | share of peak | peak memory, GB | "
        + " | ".join(f"× {base}" for base in bases) + " |",
        "|---|---:|---:|---:|---:|" + "---:|" * len(bases),
    ]  # fmt: skip
    for name, result in results.items():
        if "error" in result:
            lines.append(f"| {name} | failed: {result['error']} | | | |" + " |" * len(bases))
            continue
        share = ""
        if "flops" in result:
            peak = machine["peak_gflops"][result["precision"]] * 1e9
            share = f"{100 * result['flops'] / result['seconds'] / peak:.0f} %"
        ratios = [_ratio(result, measured[base]) if base in measured else "–" for base in bases]
        sweep = SWEEP * result["examples"] / rates[name]
        lines.append(
            f"| {name} | {rates[name]:.0f} | {sweep:.0f} | {share} | {result['peak_bytes'] / 1e9:.2f} | "
            + " | ".join(ratios) + " |"
        )  # fmt: skip
    lines.append("")
    rounds = max((len(_seconds(result)) for result in measured.values()), default=1)
    if rounds > 1:
        lines.append(f"- {rounds} rounds: the one of median time, and the median ratio within a round (least–greatest)")
    lines += [*(f"- {name}: {what}" for name, (_, what) in peers.items() if name in results)]
    if f"ours-1x{SIDE_BY_SIDE}" in results:
        lines.append(f"- ours-1x{SIDE_BY_SIDE}: {SIDE_BY_SIDE} processes of one run each, side by side")
    lines.append(f"- ours-R: R runs in one pass, examples of all runs counted; times of {SWEEP} runs are those of one "
                 f"pass times {SWEEP} / R")  # fmt: skip
    checkpoints = {name: result["checkpoint"] for name, result in measured.items() if "checkpoint" in result}
    if checkpoints:
        costs = (
            f"{name} {one['bytes'] / 1e6:.0f} MB, {one['seconds']:.2f} s, {one['share']:.2%} of training"
            for name, one in checkpoints.items()
        )
        lines.append(f"- checkpoints at the default interval: {'; '.join(costs)}")
    return "\n".join(lines)


def _seconds(result: dict) -> list[float]:
    return result.get("rounds") or [result["seconds"]]


def _ratio(result: dict, base: dict) -> str:
    """`4.10`, of several rounds `4.10 (3.95–4.32)`: how many times the examples per second of `base`."""
    replicas = result.get("replicas", 1) / base.get("replicas", 1)
    ratios = [replicas * theirs / ours for ours, theirs in zip(_seconds(result), _seconds(base), strict=True)]
    spread = f" ({min(ratios):.2f}–{max(ratios):.2f})" if len(ratios) > 1 else ""
    return f"{median(ratios):.2f}{spread}"
