"""harness: all commands of this project as one; `harness NAME ...` is `python -m harness.NAME ...`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from difflib import get_close_matches

COMMANDS = {
    "run": "train a run, or with --multirun a sweep",
    "report": "make tables and figures from a results folder",
    "submit": "write the zip that gluebenchmark.com takes",
    "bank": "collect the trained weights of many tasks; list, check and export them",
    "predict": "predict rows with the tasks of a bank",
    "describe": "show what a run would read: splits, labels, lengths, examples",
}

# Bash replaces only what follows the last `=`, hence the last step.
COMPLETION = """\
_harness() {
    local line="${COMP_LINE:0:COMP_POINT}" choices=
    local word="${line##* }"
    case "$line" in
        "harness run "*|"harness describe "*)
            choices=$(COMP_LINE="${line#* }" harness run -sc query=bash 2>/dev/null) ;;
        *" "*" "*) ;;
        *) choices="{commands}" ;;
    esac
    COMPREPLY=($(compgen -W "$choices" -- "$word"))
    [[ "$word" != *=* ]] || COMPREPLY=("${COMPREPLY[@]#"${word%=*}="}")
}
complete -o nospace -o default -F _harness harness
""".replace("{commands}", " ".join(COMMANDS))


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    name, *rest = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if name in COMMANDS:
        module = importlib.import_module(f"harness.commands.{name}")  # only now: some of them load torch
        return module.main(rest) if name == "run" else module.main(rest, prog=f"harness {name}")
    if name in ("-h", "--help"):
        print(usage())
        return 0
    if name == "--completion":
        print(COMPLETION, end="")
        return 0
    close = get_close_matches(name, COMMANDS, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    print(f"error: there is no command {name!r}; {hint}choose one of {', '.join(COMMANDS)}", file=sys.stderr)
    return 2


def usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {text}" for name, text in COMMANDS.items()]
    return "\n".join([
        "usage: harness COMMAND ...",
        "",
        "GLUE with adapters: train, tabulate, submit, and use what was trained.",
        "",
        *lines,
        "",
        "`harness COMMAND --help` describes a command. Completion in bash: eval \"$(harness --completion)\"",
    ])  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
