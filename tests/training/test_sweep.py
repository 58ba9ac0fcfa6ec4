import re

import pytest
import yaml

from qm7cli.core.errors import QM7Error
from qm7cli.core.validation import flatten
from qm7cli.data.splits import Split, make_folds, write_split
from qm7cli.runs.experiment import SWEEP_KEYS, Experiment
from qm7cli.training.executor import Job
from qm7cli.training.sweep import SweepFile, job_status, log, log_file, plan, read_sweep
from qm7cli.training.train_run import train_run


@pytest.fixture
def written(tmp_path):
    """Writes a sweep file."""

    def write(text):
        path = tmp_path / "sweep.yaml"
        path.write_text(text)
        return path

    return write


def settings(experiments, *keys):
    """Return the values of some settings in each experiment."""
    known = [dict(flatten(experiment.model_dump())) for experiment in experiments]
    return [tuple(each[key] for key in keys) for each in known]


def test_a_grid_gives_every_combination_the_last_key_fastest(written):
    file = written("""
        base: {training: {iterations: 7}}
        grid: {variant: [original, corrected], encoding.noise: [0.5, 1, 1e-1]}
        """)
    experiments = read_sweep(file)
    assert settings(experiments, "variant", "encoding.noise", "training.iterations") == [
        (variant, noise, 7) for variant in ("original", "corrected") for noise in (0.5, 1.0, 0.1)
    ]


def test_points_are_taken_one_by_one_and_with_every_place_of_the_grid(written):
    points = "points: [{seed: 3}, {encoding: {noise: 0}, network.hidden: [5]}]"
    assert settings(read_sweep(written(points)), "seed", "encoding.noise", "network.hidden") == [
        (3, 1.0, [400, 100]),
        (0, 0.0, [5]),
    ]
    both = read_sweep(written(points + "\ngrid: {variant: [original, no-prebias]}"))
    assert settings(both, "seed", "variant") == [
        (seed, variant) for seed in (3, 0) for variant in ("original", "no-prebias")
    ]


def test_the_base_may_be_an_experiment_file_beside_the_sweep_file(written, tmp_path, monkeypatch):
    (tmp_path / "base.yaml").write_text("seed: 5\nencoding: {noise: 2}")
    file = written("base: base.yaml\ngrid: {split.train_size: [20, null]}")
    monkeypatch.chdir("/")
    keys = ("seed", "encoding.noise", "split.train_size")
    assert settings(read_sweep(file), *keys) == [(5, 2.0, 20), (5, 2.0, None)]


def test_what_is_given_goes_before_the_base(written):
    file = written("base: {seed: 1, training: {iterations: 9}}\ngrid: {variant: [corrected]}")
    (experiment,) = read_sweep(file, ["training.iterations=11", "encoding={noise: 3}"], {"data": "gfn7"})
    assert (experiment.training.iterations, experiment.encoding.noise) == (11, 3)
    assert (experiment.data, experiment.seed) == ("gfn7", 1)


@pytest.mark.parametrize(("text", "message"), [
    ("- a", "a sweep file holds base, grid and points"),
    ("seed: 1\ntraining: {iterations: 5}", "sweep.yaml is an experiment, not a sweep file: qm7 train --config "),
    ("gird: {seed: [1]}", 'line 1: unknown key gird; did you mean "grid"?'),
    ("grid:\n  seed: 1", "line 2: grid.seed is 1: write [1]"),
    ("points: []", "points is empty, so there is no point"),
    ("base:\n  seed: 1\n  sede: 2", "line 3: base: unknown key sede"),
    ("base: sweep.yaml", "sweep.yaml is a sweep file, not an experiment: qm7 sweep "),
    ("grid: {seed: [0, -1]}", "the point seed=-1: seed is -1, but should be greater than or equal to 0"),
    ("grid: {seed: [1]}\npoints: [{seed: 2}]", "sets seed twice in one point; remove one of them"),
    ("grid: {split: [[scheme]], split.scheme: [random]}", "sets split.scheme twice in one point"),
    ("grid: {training.iterations: [10, 20]}", "training.iterations cannot be swept: it does not make another run"),
    ("grid: {split: [5]}", "the point split=5: split is 5: write keys and values"),
    (
        "grid: {seed: [" + "1, " * 400 + "1], training.batch_size: [" + "1, " * 400 + "1]}",
        "has 160801 points, more",
    ),
    ("grid: {seed: [1]", "this is not YAML"),
])  # fmt: skip
def test_a_mistake_in_a_sweep_file_is_named_with_its_place(written, text, message):
    file = written(text)
    with pytest.raises(QM7Error, match=re.escape(message)) as error:
        read_sweep(file)
    assert str(file.parent) in str(error.value)


def test_the_keys_of_a_sweep_file_are_none_of_an_experiment():
    assert SweepFile.model_fields.keys() == SWEEP_KEYS
    assert not SWEEP_KEYS & Experiment.model_fields.keys()


def test_a_swept_setting_cannot_be_given_as_well(written):
    file = written("grid: {encoding.noise: [1, 2], data: [gfn7], training: [{batch_size: 3}]}")
    for assignments, data, key in (
        (["encoding={noise: 1}"], None, "encoding.noise"),
        ([], "gfn7", "data"),
        (["training.batch_size=1"], None, "training.batch_size"),
    ):
        with pytest.raises(QM7Error, match=f"sweeps {key}, so it cannot be given as well"):
            read_sweep(file, assignments, {"data": data})


def test_every_fold_of_every_point_is_a_job_in_a_directory_that_tells_the_point(written, tmp_path, mat):
    file = written("base: {split: {folds: [1, 3]}}\ngrid: {variant: [original, corrected], seed: [0, 7]}")
    work = plan(read_sweep(file, flags={"data": str(mat)}), tmp_path / "runs")
    assert [(job.run.relative_to(tmp_path).as_posix(), job.fold) for job, _ in work] == [
        (f"runs/small-{variant}-seed{seed}", fold)
        for variant in ("original", "corrected")
        for seed in (0, 7)
        for fold in (1, 3)
    ]
    assert len({id(dataset) for _, dataset in work}) == 1
    assert not (tmp_path / "runs").exists()


def test_two_points_that_would_be_one_run_are_refused(written, tmp_path, mat):
    file = written("grid: {encoding.noise: [1, 1.0]}")
    with pytest.raises(QM7Error, match=r"the same run, .*small-original-seed0: they have the same settings"):
        plan(read_sweep(file, flags={"data": str(mat)}), tmp_path)


def test_a_split_file_is_pinned_by_its_content(written, tmp_path, small):
    folds = tmp_path / "folds.yaml"
    write_split(folds, small, "random", 0, make_folds(small, Split(scheme="random")))
    (swept,) = read_sweep(written(yaml.safe_dump({"base": {"split": {"scheme": str(folds)}}})))
    assert len(swept.split.sha256) == 64


def test_a_job_is_complete_when_its_fold_has_all_iterations(tmp_path, quick, small):
    train_run(quick("split.folds=[1]"), small, tmp_path)
    asked = ((300, 1), (300, 3), (301, 1), (299, 1))
    jobs = [Job(tmp_path, quick(f"training.iterations={n}"), fold) for n, fold in asked]
    assert [job_status(job) for job in jobs] == [("complete", 300), ("new", 0), ("partial", 300), ("longer", 300)]
    (tmp_path / "fold-1/result.yaml").write_text("nonsense")
    assert job_status(jobs[0]) == ("damaged", 0)


def test_a_log_that_cannot_be_written_is_no_reason_to_fail(tmp_path):
    log(tmp_path / "run", 0, "one")
    log(tmp_path / "run", 0, "two")
    lines = log_file(tmp_path / "run", 0).read_text().splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == ["one", "two"]
    (tmp_path / "file").write_text("")
    log(tmp_path / "file", 0, "three")
    assert (tmp_path / "file").read_text() == ""
