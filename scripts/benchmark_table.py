"""Who takes part in the benchmark, and the table of what was measured."""

from __future__ import annotations

SWEEP = 15
SIDE_BY_SIDE = 8
# name -> (arguments of the peer script, what it is)
PEERS = {
    "adapterhub-padded": (["--padding", "max"], "adapters, padded to 128, fp32, as its GLUE example runs"),
    "adapterhub-dynamic": (["--padding", "dynamic"], "adapters, dynamic padding, fp32"),
    "adapterhub-grouped": (["--padding", "grouped"], "adapters, dynamic padding, length groups, fp32"),
    "adapterhub-bf16": (["--padding", "dynamic", "--bf16"], "adapters, dynamic padding, bf16"),
    "trainer-full": (["--method", "full", "--padding", "max"], "Trainer, full fine-tuning, padded to 128, fp32"),
}


def our_names(replicas: list[int], *, on_gpu: bool) -> list[str]:
    """Our contenders: `ours-full`, `ours-R` and on a GPU `ours-R-graphs` and `ours-1x8`."""
    stacks = [f"ours-{count}" for count in replicas]
    return [
        "ours-full",
        *stacks,
        *([f"{name}-graphs" for name in stacks] + [f"ours-1x{SIDE_BY_SIDE}"] if on_gpu else []),
    ]


def tabulate(results: dict[str, dict], machine: dict) -> str:
    """A markdown table; ratios are examples per second per replica against two rows of AdapterHub."""
    measured = {name: result for name, result in results.items() if "error" not in result}
    rates = {name: r["examples"] * r.get("replicas", 1) / r["seconds"] for name, r in measured.items()}
    bases = ("adapterhub-padded", "adapterhub-dynamic", "adapterhub-bf16", "ours-1")
    peaks, commit = machine["peak_gflops"], (machine["commit"] or "none")[:10] + (" (dirty)" * bool(machine["dirty"]))
    lines = [
        f"{machine['task']}, {machine['examples']} examples, one epoch, batch 32, {machine['model']}, size 64; "
        f"data {machine['source']}; {machine['device']}; products {peaks['bf16']:.0f} GFLOP/s in bf16, "
        f"{peaks['fp32']:.0f} in fp32; commit {commit}",
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
    lines += ["", *(f"- {name}: {what}" for name, (_, what) in PEERS.items() if name in results)]
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
