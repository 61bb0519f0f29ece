"""When signals take effect, and what they end in."""

import os
import signal
import sys
import threading

import pytest

from harness.interrupts import Signals, Stopped, Terminated


@pytest.fixture
def signals():
    made = Signals()
    with made.handled():
        yield made


def send(number):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_outside_training_a_signal_ends_the_command_at_once(signals, number, error):
    with pytest.raises(KeyboardInterrupt) as caught:
        send(number)
    assert caught.type is error


def test_a_warning_ends_nothing(signals):
    saved = []
    with signals.first(lambda: saved.append("saved")):
        send(signal.SIGUSR1)
    send(signal.SIGUSR1)
    assert saved == ["saved"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_held_signals_wait_until_they_are_released(signals, number):
    done = []
    with pytest.raises(KeyboardInterrupt), signals.first(lambda: done.append("saved")), signals.held():
        send(number)
        done.append("step")
        signals.release()
        done.append("another step")
    assert done == ["step", "saved"]


def test_held_signals_take_effect_at_the_end_at_the_latest(signals):
    done = []
    with pytest.raises(Terminated), signals.held():
        send(signal.SIGTERM)
        done.append("step")
    assert done == ["step"]
    with pytest.raises(Terminated), signals.held():
        signals._is_ending = False
        send(signal.SIGTERM)
        raise ValueError("the step failed")


def test_a_second_ctrl_c_does_not_wait(signals):
    done = []
    with pytest.raises(KeyboardInterrupt), signals.held():
        send(signal.SIGINT)
        done.append("step")
        send(signal.SIGINT)
        done.append("another step")
    assert done == ["step"]


def test_a_repeated_sigterm_disturbs_nothing(signals):
    """It is sent to the process and again to its group; records are being marked by then."""
    done = []
    with pytest.raises(Terminated):
        try:
            send(signal.SIGTERM)
        except KeyboardInterrupt:
            send(signal.SIGTERM)
            done.append("marked")
            raise
    assert done == ["marked"]


def test_a_handler_that_was_there_has_the_last_word():
    """submitit's, in a job of a cluster: SIGUSR2 queues the job again and ends it, SIGTERM is ignored."""
    order = []

    def queue_again(number, frame):
        order.append("queued")
        raise SystemExit(-1)

    before = {number: signal.getsignal(number) for number in (signal.SIGUSR2, signal.SIGTERM)}
    signal.signal(signal.SIGUSR2, queue_again)
    signal.signal(signal.SIGTERM, lambda *_: order.append("ignored"))
    try:
        signals = Signals()
        with signals.handled(), signals.first(lambda: order.append("saved")):
            with signals.held():
                send(signal.SIGTERM)
                order.append("step")
            send(signal.SIGTERM)
            with pytest.raises(SystemExit), signals.held():
                send(signal.SIGUSR2)
                order.append("step")
        assert order == ["step", "saved", "ignored", "saved", "ignored", "step", "saved", "queued"]
        assert signal.getsignal(signal.SIGUSR2) is queue_again
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_what_is_ignored_stays_ignored_and_all_is_as_before_at_the_end():
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as of a job that a shell has put into the background
    try:
        with Signals().handled():
            send(signal.SIGINT)
            assert signal.getsignal(signal.SIGUSR2) == signal.SIG_DFL
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_change_nothing():
    seen = []

    def body():
        with Signals().handled():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert seen == [signal.SIG_DFL]


def test_waiting_signals_are_passed_on_except_ctrl_c(signals, monkeypatch):
    sent = []
    with pytest.raises(KeyboardInterrupt), signals.held():
        for number in (signal.SIGUSR1, signal.SIGINT, signal.SIGTERM):
            send(number)
        monkeypatch.setattr(os, "kill", lambda *what: sent.append(what))
        signals.pass_on([7, 8])
    assert sent == [(7, signal.SIGUSR1), (7, signal.SIGTERM), (8, signal.SIGUSR1), (8, signal.SIGTERM)]


def test_an_error_in_somebody_elses_handler_ends_the_work_and_is_no_failure_of_it():
    """As submitit's does, where a job may not be queued again; what exits (a job that is queued again) still does."""

    def refuse(number, frame):
        raise RuntimeError("not queued again")

    signals, before = Signals(), signal.signal(signal.SIGUSR2, refuse)
    try:
        with signals.handled(), pytest.raises(Stopped) as caught:
            send(signal.SIGUSR2)
        assert not isinstance(caught.value, Exception) and str(caught.value.__cause__) == "not queued again"
        signal.signal(signal.SIGUSR2, lambda *_: sys.exit(3))
        with signals.handled(), pytest.raises(SystemExit):
            send(signal.SIGUSR2)
    finally:
        signal.signal(signal.SIGUSR2, before)
