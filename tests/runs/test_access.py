from dataclasses import replace
from threading import Thread

import pytest
import yaml

from conftest import COMPLETE
from qm7cli.core.errors import QM7Error
from qm7cli.core.locks import lock
from qm7cli.runs.access import default_name, lock_fold, prepare_run, register_fold
from qm7cli.runs.experiment import resolve
from qm7cli.runs.results import make_results, read_fold, read_results, write_fold


def test_another_configuration_is_refused_naming_what_differs(run, quick, small):
    before = (run / "config.yaml").read_text()
    with pytest.raises(QM7Error, match=r"was trained with other settings \(variant, encoding.noise differ\)"):
        prepare_run(run, quick("encoding.noise=2", variant="corrected"), [0], small, overwrite=False)
    assert (run / "config.yaml").read_text() == before


def test_another_data_set_is_refused(run, quick, small):
    with pytest.raises(QM7Error, match=r"other settings.*SHA-256"):
        prepare_run(run, quick(), [0], replace(small, sha256="0" * 64), overwrite=False)


def test_the_configuration_lists_all_folds_that_were_asked_for(run, quick, small):
    register_fold(run, quick("training.iterations=500", "split.folds=[3, 4]"), 4, small)
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["dataset"] == {"name": "small", "sha256": small.sha256, "molecules": 60}
    assert config["split"]["folds"] == [0, 2, 3, 4]
    assert config["training"]["iterations"] == 500


def test_overwriting_removes_the_folds_asked_for_and_all_of_another_configuration(run, quick, small):
    for fold in (0, 2):
        write_fold(run, COMPLETE.model_copy(update={"fold": fold}))
    prepare_run(run, quick(), [2], small, overwrite=True)
    assert [read_fold(run, fold) is None for fold in (0, 2)] == [False, True]
    make_results(run)  # as the next fold that is written does
    assert [fold.fold for fold in read_results(run).folds] == [0]
    assert (run / "config.yaml").exists()
    prepare_run(run, quick(seed=1), [2], small, overwrite=True)
    assert read_fold(run, 0) is None
    assert not (run / "results.yaml").exists()


def test_nothing_is_overwritten_while_a_fold_of_the_run_is_in_training(run, quick, small):
    write_fold(run, COMPLETE)
    with lock_fold(run, 2), pytest.raises(QM7Error, match=r"fold 2 of .* is being trained by another process"):
        prepare_run(run, quick(seed=1), [0], small, overwrite=True)
    assert read_results(run).folds == [read_fold(run, 0)] == [COMPLETE]


def test_a_run_that_has_become_another_one_is_not_joined(run, quick, small):
    with pytest.raises(QM7Error, match=r"was trained with other settings \(seed differs\)"):
        register_fold(run, quick(seed=1), 4, small)


def test_a_damaged_configuration_is_one_sentence_and_can_be_overwritten(run, quick, small):
    (run / "config.yaml").write_text("seed: [")
    with pytest.raises(QM7Error, match=r"config.yaml is damaged or from another version; --overwrite trains it again"):
        prepare_run(run, quick(), [0], small, overwrite=False)
    prepare_run(run, quick(), [0], small, overwrite=True)
    assert not (run / "config.yaml").exists()


def test_what_a_killed_process_has_left_of_a_new_run_does_not_keep_it_closed(tmp_path, quick, small):
    (tmp_path / "run/fold-0").mkdir(parents=True)
    for name in (".lock", ".config.yaml.0123456789abcdef.tmp", "fold-0/.lock"):
        (tmp_path / "run" / name).write_text("")
    prepare_run(tmp_path / "run", quick(), [0], small, overwrite=False)
    register_fold(tmp_path / "run", quick(), 0, small)


@pytest.mark.parametrize("name", ["results.yaml", "fold-0/result.yaml", "thesis.tex"])
def test_a_directory_with_other_files_is_not_taken_for_a_run(tmp_path, quick, small, name):
    path = tmp_path / "run" / name
    path.parent.mkdir(parents=True)
    path.write_text("another program's")
    for overwrite in (False, True):
        with pytest.raises(QM7Error, match="is a directory with other files, not a run"):
            prepare_run(tmp_path / "run", quick(), [0], small, overwrite=overwrite)
    assert path.read_text() == "another program's"
    with pytest.raises(QM7Error, match="is a file, not a directory"):
        prepare_run(path, quick(), [0], small, overwrite=False)


@pytest.mark.parametrize("write", [
    lambda run, experiment, small: register_fold(run, experiment, 4, small),
    lambda run, *_: write_fold(run, COMPLETE),
    lambda run, experiment, small: prepare_run(run, experiment, [0], small, overwrite=True),
])  # fmt: skip
def test_what_all_folds_share_is_written_under_the_run_s_lock(run, quick, small, write):
    write_fold(run, COMPLETE.model_copy(update={"status": "partial"}))
    shared = [run / "config.yaml", run / "results.yaml"]
    before = [path.read_bytes() for path in shared]
    writer = Thread(target=write, args=(run, quick(), small))
    with lock(run / ".lock"):
        writer.start()
        writer.join(0.3)
        assert writer.is_alive()
        assert [path.read_bytes() for path in shared] == before
    writer.join()
    assert [path.read_bytes() if path.exists() else b"" for path in shared] != before


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ([], "qm7-original-seed0"),
        (["encoding.noise=0.5", "network.hidden=[20, 10]", "seed=3", "variant=corrected"],
         "qm7-corrected-seed3-encoding.noise=0.5-network.hidden=20,10"),
        (["encoding.center=no", "network.offset=1", "network.bias=[2, 0.5]", "variant=uncompensated"],
         "qm7-uncompensated-seed0-encoding.center=false-network.offset=1.0-network.bias=2.0,0.5"),
        (["baseline={model: krr, kernel: laplacian, memory: 2}"], "qm7-krr-seed0-baseline.kernel=laplacian"),
        (["baseline={model: knn, representation: random}", "encoding.noise=2", "variant=corrected"],
         "qm7-knn-seed0-encoding.noise=2.0-baseline.representation=random-baseline.draws=4"),
        (["split.scheme=some where/ten.yaml", "split.sha256=abc"], "qm7-original-seed0-split=ten"),
        (["split.sha256=abc"], "qm7-original-seed0"),
    ],
)  # fmt: skip
def test_the_default_name_tells_the_settings_that_differ_and_count(settings, name):
    assert default_name(resolve(None, settings, {}), "qm7") == name


def test_a_name_that_would_be_too_long_for_a_directory_ends_in_a_digest():
    schedule = "training.schedule=[" + ", ".join(f"[{k}, 0.01]" for k in range(1, 99)) + "]"
    one, other = (default_name(resolve(None, [schedule, f"seed={seed}"], {}), "ä" * 9) for seed in (1, 1 + 10**9))
    assert len(one.encode()) <= 200
    assert one.startswith("äääääääää-original-seed1-training.schedule=1,0.01,2,")
    similar = default_name(resolve(None, [schedule.replace("98, 0.01", "98, 0.02"), "seed=1"], {}), "ä" * 9)
    assert len({one, other, similar}) == 3
