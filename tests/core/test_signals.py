import os
import signal

import pytest

from qm7cli.core.signals import ENDING, STOPPING, stop_on_signals

WITHOUT_POSIX = """
import os, signal, sys
for name in ("SIGHUP", "SIGQUIT", "SIGALRM", "SIGUSR1", "SIG_BLOCK", "SIG_UNBLOCK", "SIG_SETMASK", "pthread_sigmask"):
    delattr(signal, name)
for name in ("fork", "getuid", "geteuid", "setsid", "getpgid", "killpg", "sched_getaffinity"):
    delattr(os, name)
for name in ("grp", "pwd", "resource", "termios"):
    sys.modules[name] = None
"""


def test_the_first_signal_asks_to_stop_and_a_second_interrupt_does_so_at_once():
    before = signal.getsignal(signal.SIGINT)
    with stop_on_signals(print) as request:
        assert not request()
        os.kill(os.getpid(), signal.SIGTERM)
        assert request()
        assert request.signal == signal.SIGTERM
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_an_interrupt_says_what_it_does_and_what_another_one_would():
    sentences = []
    with stop_on_signals(sentences.append):
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert sentences == [STOPPING, ENDING]
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


@pytest.mark.parametrize("jobs", [1, 2])
def test_folds_are_trained_where_the_system_has_no_more_signals_than_windows(command, tmp_path, quick_flags, jobs):
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text(WITHOUT_POSIX)
    two = ("--fold", 0, "--fold", 1, "--jobs", jobs)
    done = command("train", *quick_flags, *two, "--quiet", PYTHONPATH=str(tmp_path / "site"))
    assert done.stderr == ""
    assert "status: complete" in done.stdout
    assert all((next(tmp_path.glob("runs/*")) / f"fold-{fold}/model.npz").exists() for fold in (0, 1))
