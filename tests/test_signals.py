import os
import signal

import pytest

from qm7cli.signals import stop_on_signals


def test_the_first_signal_asks_to_stop_and_a_second_interrupt_does_so_at_once():
    before = signal.getsignal(signal.SIGINT)
    with stop_on_signals() as request:
        assert not request()
        os.kill(os.getpid(), signal.SIGTERM)
        assert request()
        assert request.signal == signal.SIGTERM
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
