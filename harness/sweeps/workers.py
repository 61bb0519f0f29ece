"""The processes of a sweep that has several, each with a device, or with a share of a CPU's threads.

They are forked from a server, which imports what training needs once for all sweeps of a command: an import takes five
seconds of a core.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from multiprocessing import connection, forkserver
from multiprocessing.queues import SimpleQueue
from typing import TYPE_CHECKING

import torch

from harness.errors import UserError
from harness.interrupts import SIGNALS
from harness.sweeps.placement import threads_of_each
from harness.sweeps.progress import Progress, WorkerProgress

if TYPE_CHECKING:
    from harness.sweeps.sweep import Sweep

_CONTEXT = multiprocessing.get_context("forkserver")
_POLL_SECONDS = 0.5


def start_server() -> None:
    """Let the server start and import; returns at once. Nothing happens where there is one already."""
    _CONTEXT.set_forkserver_preload(["harness.sweeps.worker_imports"])
    forkserver.ensure_running()


def work_in_processes(sweep: Sweep) -> None:
    """One process for each entry of `sweep.devices`, as far as there are stacks, each taking those that no other holds.

    Raises what ended one of them, and KeyboardInterrupt.
    """
    errors = _CONTEXT.SimpleQueue()
    board = _CONTEXT.RawArray("d", 2 * len(sweep.devices))
    threads = threads_of_each(sweep.devices)
    with sweep.progress() as progress:
        workers = [
            _CONTEXT.Process(target=_work, args=(sweep, device, threads, WorkerProgress(board, index), errors))
            for index, (device, _) in enumerate(zip(sweep.devices, filter(sweep.open, sweep.stacks), strict=False))
        ]
        start_server()
        for worker in workers:
            worker.start()
        try:
            with SIGNALS.held():
                while any(worker.is_alive() for worker in workers):
                    sweep.wait(_POLL_SECONDS)
                    _report(sweep, progress)
                    for index, worker in enumerate(workers):
                        if not worker.is_alive():  # one that was killed has left its stack on the board
                            board[2 * index : 2 * index + 2] = [0.0, 0.0]
                    progress.watch(board)
                    SIGNALS.pass_on(worker.pid for worker in workers if worker.is_alive())
                    SIGNALS.release()
        finally:
            for worker in workers:
                worker.join()
        _report(sweep, progress)
        killed = sum(worker.exitcode < 0 for worker in workers)
        if killed:
            whose = "all processes" if killed == len(workers) else f"{killed} of {len(workers)} processes"
            progress.say(f"{whose} of this sweep were killed; where runs are left, the same command goes on with them")
    if not errors.empty():
        raise errors.get()


def _report(sweep: Sweep, progress: Progress) -> None:
    """Report what has finished, in whatever process."""
    left = {run.id for run in sweep.open()}
    progress.finish(sweep.records_of(run for run in sweep.runs if run.id not in left))


def _work(sweep: Sweep, device: str, threads: int, progress: WorkerProgress, errors: SimpleQueue) -> None:
    """Body of one process; what ends it goes to `errors`."""
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)  # the server ignores it
    threading.Thread(target=_end_after_command, name="command", daemon=True).start()
    try:
        with SIGNALS.handled():
            torch.set_num_threads(threads)
            sweep.work_on(torch.device(device), progress)
    except KeyboardInterrupt:
        pass  # the records are marked, and the parent has been interrupted as well
    except (UserError, OSError) as error:
        errors.put(error)


def _end_after_command() -> None:
    """End this process, checkpoint first, when the command that it works for has been killed."""
    command = multiprocessing.parent_process()
    if command is not None:
        connection.wait([command.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)
