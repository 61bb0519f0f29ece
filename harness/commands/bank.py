"""A bank of tasks: one encoder, and a folder with what was trained for each task.

    python -m harness.run --multirun train.save=best task=cola,mrpc,rte results_dir=results/mine
    python -m harness.bank add results/mine          # the best run of each task, to results/mine/bank
    python -m harness.bank list results/mine
    python -m harness.bank check results/mine
    python -m harness.bank export results/mine --format adapterhub --task mrpc --out mrpc-adapter
    python -m harness.predict --task mrpc --bank results/mine/bank < pairs.tsv

Exit status: 0; 1 if `check` finds something wrong; 2, with one line on standard error, if the input is wrong.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.commands.arguments import Parser
from harness.errors import UserError
from harness.method_config import METHOD_CONFIGS

# Each command imports what it uses: torch takes seconds, and wrong arguments are refused at once.


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
    from harness.serving.bank_folder import Bank, contents

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
    from harness.serving import adapterhub
    from harness.serving.bank_folder import Bank

    bank = Bank.open(options.results)
    tasks = options.task or bank.tasks
    if options.out is not None and len(tasks) > 1:
        raise UserError(
            f"--out={options.out} is one folder, but {len(tasks)} tasks need one each; give a single --task"
        )
    for name in tasks:
        entry = bank.entry(name)
        out = options.out or bank.folder / "export" / f"{options.format}-{name}"
        adapterhub.export(out, entry.run, entry.method, bank.tensors(entry), encoder=bank.checkpoint(options.model))
        print(f"{entry.task.title}: {out}")
    return 0


_COMMANDS = {"list": _list, "add": _add, "check": _check, "export": _export}


def _parser(prog: str) -> Parser:
    parser = Parser(prog=prog, description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name: str, text: str, results: str) -> Parser:
        one = commands.add_parser(name, help=text, description=text)
        one.add_argument("results", metavar="RESULTS", type=Path, help=results)
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
    export.add_argument("--format", choices=["adapterhub"], required=True, help="the format of that library")
    export.add_argument("--task", action="append", default=[], metavar="TASK", help="only this task (repeatable)")
    export.add_argument(
        "--out", metavar="DIR", type=Path, help="folder to write a single task to (default: BANK/export/FORMAT-TASK)"
    )
    for parser_ in (one, checked, export):
        parser_.add_argument("--model", metavar="DIR", help="folder of the encoder, if it is not found by its name")
    return parser


if __name__ == "__main__":
    sys.exit(main())
