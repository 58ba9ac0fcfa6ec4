import os
import signal

import pytest

from qm7cli.core.signals import ENDING, STOPPING, stop_on_signals


def test_the_first_signal_asks_to_stop_and_a_second_interrupt_does_so_at_once():
    before = signal.getsignal(signal.SIGINT)
    for first, said in ((signal.SIGTERM, []), (signal.SIGINT, [STOPPING])):
        sentences = []
        with stop_on_signals(sentences.append) as request:
            assert not request()
            os.kill(os.getpid(), first)
            assert (request(), request.signal) == (True, first)
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)
        assert sentences == [*said, ENDING]
    assert signal.getsignal(signal.SIGINT) is before
    assert "Ctrl-C again ends at once" in STOPPING


def test_a_signal_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_on_signals(print) as stop:
            os.kill(os.getpid(), signal.SIGHUP)
        assert not stop()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
