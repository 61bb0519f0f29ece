"""A bank of tasks: one encoder, and a folder with what was trained for each task.

    python -m harness.run --multirun train.save=best task=cola,mrpc,rte results_dir=results/mine
    python -m harness.bank add results/mine          # the best run of each task, to results/mine/bank
    python -m harness.bank list results/mine
    python -m harness.bank check results/mine
    python -m harness.bank export results/mine --format adapterhub --task mrpc --out mrpc-adapter
    python -m harness.bank import my-lora --task rte --bank results/mine/bank      # a LoRA that peft has trained
    python -m harness.bank push results/mine owner/name --task mrpc --license apache-2.0 --dry-run
    python -m harness.predict --task mrpc --bank results/mine/bank < pairs.tsv

Exit status: 0; 1 if `check` finds something wrong; 2, with one line on standard error, if the input is wrong.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.commands.arguments import Parser, ends_with_its_reader
from harness.errors import UserError
from harness.method_config import METHOD_CONFIGS

if TYPE_CHECKING:
    from harness.records.weights import StoredRun
    from harness.serving.bank_folder import Bank
    from harness.serving.model_card import Intervals

# Each command imports what it uses: torch takes seconds, and wrong arguments are refused at once.


@ends_with_its_reader
def main(arguments: Sequence[str] | None = None, *, prog: str = "python -m harness.bank") -> int:
    """Entry point; returns the exit status."""
    options = _parser(prog).parse_args(arguments)
    try:
        return _COMMANDS[options.command](options)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _list(options: argparse.Namespace) -> int:
    from rich.console import Console

    from harness.reporting.table import markdown, print_table
    from harness.serving.bank_folder import Bank
    from harness.serving.bank_table import contents

    table = contents(Bank.open(options.results))
    console = Console(highlight=False)
    if console.is_terminal:
        print_table(table, console)
    else:
        print("\n".join([markdown(table), "", *(f"- {note}" for note in table.notes)]))
    return 0


def _add(options: argparse.Namespace) -> int:
    from harness.serving.bank_folder import add

    folder = options.bank or options.results / "bank"
    lines = add(
        options.results, folder, tasks=options.task, method=options.method, run_id=options.run, replace=options.replace,
        model=options.model,
    )  # fmt: skip
    print("\n".join([*lines, f"Bank: {folder}"]))
    return 0


def _check(options: argparse.Namespace) -> int:
    from harness.data.sources import resolve
    from harness.serving.bank_folder import Bank
    from harness.serving.check import check

    data = None
    if options.data is not None:
        data = resolve(source=options.data, path=options.data_path)
    return 0 if check(Bank.open(options.results), model=options.model, data=data, say=print) else 1


def _export(options: argparse.Namespace) -> int:
    from harness.serving.bank_folder import Bank

    bank = Bank.open(options.results)
    tasks = options.task or bank.tasks
    if options.out is not None and len(tasks) > 1:
        raise UserError(
            f"--out={options.out} is one folder, but {len(tasks)} tasks need one each; give a single --task"
        )
    for name in tasks:
        out = options.out or bank.folder / "export" / f"{options.format}-{name}"
        _export_task(bank, name, out, options)
        print(f"{bank.entry(name).task.title}: {out}")
    return 0


def _push(options: argparse.Namespace) -> int:
    import tempfile

    from harness.serving import publish
    from harness.serving.bank_folder import Bank

    bank = Bank.open(options.results)
    tasks = options.task or bank.tasks
    repos = {name: options.repo if len(tasks) == 1 else f"{options.repo}-{name}" for name in tasks}
    for repo in repos.values():
        publish.check_repo(repo)
    if not options.dry_run:
        publish.check_login()
    with tempfile.TemporaryDirectory() as scratch:
        for name in tasks:  # all of them before the first is pushed: a missing file is found at once
            _export_task(bank, name, Path(scratch) / name, options)
        for name, repo in repos.items():
            found, run = publish.sizes(Path(scratch) / name), bank.entry(name).run
            print(f"{bank.entry(name).task.title}: {repo}, {sum(found.values()) / 1e6:.2f} MB")
            if options.dry_run:
                print("\n".join(f"  {file}  {size:,} bytes" for file, size in found.items()))
            else:
                message = f"{bank.entry(name).task.title}: {run['run_id']}"
                print(f"  {publish.push(Path(scratch) / name, repo, private=options.private, message=message)}")
    if options.dry_run:
        print("Nothing was pushed (--dry-run).")
    return 0


def _export_task(bank: Bank, name: str, out: Path, options: argparse.Namespace) -> None:
    """One task of a bank as a folder of the format that was asked for, its scores with intervals."""
    from harness.serving import adapterhub, peft_export

    export = {"adapterhub": adapterhub.export, "peft": peft_export.export}[options.format]
    entry, tensors = bank.read(name)
    export(
        out, entry.run, entry.method, tensors, encoder=bank.checkpoint(options.model),
        intervals=_intervals(bank.folder, entry.run), licence=options.license,
    )  # fmt: skip


def _intervals(folder: Path, run: StoredRun) -> Intervals:
    """Bootstrap intervals of a run's scores, where the bank has predictions and gold labels."""
    from harness.records.record import task_of
    from harness.reporting.bootstrap import Bootstrap
    from harness.reporting.candidates import Candidate

    bootstrap, candidate = Bootstrap(folder), Candidate("", task_of(run), (run,))
    found: Intervals = {}
    for name, metrics in run["scores"].items():
        spreads = {metric: bootstrap.spread(candidate, name, metric) for metric in metrics}
        bounds = {metric: spread.interval() for metric, spread in spreads.items() if spread}
        found[name] = {metric: (low / 100, high / 100) for metric, (low, high) in bounds.items()}
    return found


def _import(options: argparse.Namespace) -> int:
    from harness.serving.peft_import import import_lora

    lines = import_lora(
        options.results, options.bank, task=options.task, model=options.model, max_length=options.max_length,
        replace=options.replace,
    )  # fmt: skip
    print("\n".join([*lines, f"Bank: {options.bank}"]))
    return 0


_COMMANDS = {"list": _list, "add": _add, "check": _check, "export": _export, "push": _push, "import": _import}


def _parser(prog: str) -> Parser:
    parser = Parser(prog=prog, description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name: str, text: str, results: str, metavar: str = "RESULTS") -> Parser:
        one = commands.add_parser(name, help=text, description=text)
        one.add_argument("results", metavar=metavar, type=Path, help=results)
        return one

    where = "a bank, or a results folder that holds one"
    command("list", "Show what a bank holds, and its size next to that of full checkpoints", where)
    one = command(
        "add",
        "Put the best stored run of each task into a bank",
        "a results_dir of runs with train.save=best or all",
    )
    one.add_argument("--bank", metavar="DIR", type=Path, help="the bank (default: RESULTS/bank)")
    one.add_argument("--task", action="append", default=[], metavar="TASK", help="only this task (repeatable)")
    methods = [name for name, schema in METHOD_CONFIGS.items() if schema.has_encoder]
    one.add_argument("--method", choices=methods, help="only runs of this method")
    one.add_argument("--run", metavar="RUN_ID", help="this run instead of the best one")
    one.add_argument("--replace", action="store_true", help="replace tasks that are already in the bank")
    checked = command("check", "Check every task of a bank: its files, its encoder, and whether its weights fit", where)
    checked.add_argument(
        "--data",
        metavar="SOURCE",  # checked by `resolve`, which also knows sources from outside the package
        help="auto, hub, local or synthetic: also compare predictions for its evaluation rows with the training run's",
    )
    checked.add_argument("--data-path", metavar="DIR", help="the folder of --data=local (default: GLUE_DIR)")
    export = command("export", "Export tasks in the format of another library, with a model card", where)
    export.add_argument("--task", action="append", default=[], metavar="TASK", help="only this task (repeatable)")
    export.add_argument(
        "--out", metavar="DIR", type=Path, help="folder to write a single task to (default: BANK/export/FORMAT-TASK)"
    )
    push = command(
        "push", "Push tasks to the Hugging Face hub, in the format of another library, with a model card", where
    )
    push.add_argument(
        "repo", metavar="OWNER/NAME", help="the repository of a single task; of several, OWNER/NAME-TASK each"
    )
    push.add_argument("--task", action="append", default=[], metavar="TASK", help="only this task (repeatable)")
    push.add_argument(
        "--dry-run", action="store_true", help="show what would be pushed, and its size; needs no network"
    )
    push.add_argument("--private", action="store_true", help="make new repositories private")
    for parser_ in (export, push):
        parser_.add_argument(
            "--format",
            choices=["adapterhub", "peft"],
            required=parser_ is export,
            default="adapterhub",
            help="the format of that library: adapterhub for adapters, peft for LoRA and IA3",
        )
        parser_.add_argument(
            "--license", metavar="ID", help="licence of the weights for the model card: apache-2.0, mit, ..."
        )
    imported = command(
        "import",
        "Put a LoRA that Hugging Face's peft has trained, with its head, into a bank",
        "the folder that peft's save_pretrained wrote",
        metavar="FOLDER",
    )
    imported.add_argument(
        "--task", required=True, metavar="TASK", help="a GLUE task, or a YAML file that describes one as in conf/task"
    )
    imported.add_argument("--bank", metavar="DIR", type=Path, required=True, help="the bank, which is made if missing")
    imported.add_argument(
        "--max-length", metavar="N", type=int, default=128, help="tokens at which texts are cut (default: 128)"
    )
    imported.add_argument("--replace", action="store_true", help="replace the task if it is already in the bank")
    for parser_ in (one, checked, export, push, imported):
        parser_.add_argument("--model", metavar="DIR", help="folder of the encoder, if it is not found by its name")
    return parser


if __name__ == "__main__":
    sys.exit(main())
