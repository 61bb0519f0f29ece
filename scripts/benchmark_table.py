"""Who takes part in the benchmark, and the table of what was measured."""

from __future__ import annotations

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


def tabulate(results: dict[str, dict], machine: dict) -> str:
    """A markdown table; ratios are examples per second, those of all replicas counted, against the rows `BASES`."""
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
        ratios = [f"{rates[name] / rates[base]:.2f}" if base in rates else "–" for base in bases]
        sweep = SWEEP * result["examples"] / rates[name]
        lines.append(
            f"| {name} | {rates[name]:.0f} | {sweep:.0f} | {share} | {result['peak_bytes'] / 1e9:.2f} | "
            + " | ".join(ratios) + " |"
        )  # fmt: skip
    lines += ["", *(f"- {name}: {what}" for name, (_, what) in peers.items() if name in results)]
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
