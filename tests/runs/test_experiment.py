import re

import pytest
import yaml

from qm7cli.core.errors import QM7Error, UsageError
from qm7cli.core.validation import SettingsError
from qm7cli.core.yaml_text import format_yaml
from qm7cli.data.splits import Split
from qm7cli.runs.experiment import Experiment, identity, resolve
from qm7cli.runs.settings import Baseline, Training


def test_the_defaults_are_the_constants_of_the_reference():
    assert Experiment().model_dump(mode="json") == yaml.safe_load("""
        variant: original
        seed: 0
        data: null
        imported: null
        split: {scheme: published, sha256: null, folds: null, count: 5, seed: 0, train_size: null}
        target: {subtract: mean}
        encoding: {noise: 1.0, step: 1.0, center: true}
        network: {hidden: [400, 100], activation: tanh, offset: 0.0, bias: 0.0}
        training:
          iterations: 1000000
          batch_size: 25
          schedule: [[1, 0.001], [501, 0.0025], [2501, 0.005], [12501, 0.01]]
          averaging: 0.1
          checkpoint_every: 10000
        evaluation: {draws: 10, every: 25000}
        baseline: {model: null, representation: null, exponent: null, kernel: null, draws: null,
          neighbours: null, scale: null, ridge: null, memory: 8.0}
        """)


def test_flags_go_before_set_before_the_file_before_the_defaults(tmp_path):
    file = tmp_path / "x.yaml"
    file.write_text("seed: 1\nvariant: corrected\ntraining: {iterations: 7, batch_size: 8}\n")
    experiment = resolve(file, ["seed=2", "training.iterations=9"], {"seed": 3, "variant": None})
    assert (experiment.seed, experiment.variant) == (3, "corrected")
    assert (experiment.training.iterations, experiment.training.batch_size) == (9, 8)
    assert experiment.encoding.noise == 1.0


def test_another_split_leaves_the_fingerprint_of_the_former_behind(tmp_path):
    file = tmp_path / "x.yaml"
    file.write_text("split: {scheme: a.yaml, sha256: abc}")
    assert resolve(file, [], {"seed": 1}).split.sha256 == "abc"
    for experiment in (resolve(file, [], {"split.scheme": "b.yaml"}), resolve(file, ["split.scheme=random"], {})):
        assert experiment.split.sha256 is None
    both = resolve(file, ["split={scheme: b.yaml, sha256: def}"], {})
    assert (both.split.scheme, both.split.sha256) == ("b.yaml", "def")


def test_a_number_is_the_same_in_a_file_an_assignment_and_a_flag(tmp_path):
    file = tmp_path / "x.yaml"
    for text, number in (("010", 10), ("1_000", 1000), ("1e3", 1000), ("+5", 5), ("08", 8)):
        file.write_text(f"seed: {text}")
        for seed in (resolve(file, [], {}).seed, resolve(None, [f"seed={text}"], {}).seed, Experiment(seed=text).seed):
            assert seed == number
        assert resolve(None, [], {"seed": text}).seed == number
    for text in ("1:30", "0x10", "0o10", "0b1", "1__0", "1_", "ten"):
        file.write_text(f"seed: {text}")
        for origin, assignments, flags in ((file, [], {}), (None, [f"seed={text}"], {}), (None, [], {"seed": text})):
            with pytest.raises(QM7Error, match=f'seed is "{text}": write a whole number'):
                resolve(origin, assignments, flags)


@pytest.mark.parametrize(("text", "message"), [
    ("varaint: original", 'line 1: unknown key varaint; did you mean "variant"?'),
    ("seed: 1\ntraining:\n  iteratons: 5", 'line 3: unknown key training.iteratons; did you mean "iterations"?'),
    ("iterations: 3", 'unknown key iterations; did you mean "training.iterations"?'),
    ("training: {lr: 0.01}", 'unknown key training.lr; did you mean "training.schedule"?'),
    ("function: 3", "unknown key function"),
    (
        "variant: corected",
        'variant is "corected", not one of original, corrected, no-prebias, uncompensated; did you mean "corr',
    ),
    (
        "split: {scheme: stratifed}",
        "should be published, stratified, random or a .yaml file that qm7 split has written; did you mean",
    ),
    ("seed: -1", "seed is -1, but should be greater than or equal to 0"),
    ("seed: yes", "seed is true, but a number is needed here"),
    ("training: {iterations: 1.5}", "training.iterations is 1.5: write a whole number"),
    ("training: {iterations: 1" + 400 * "0" + "}", "training.iterations is 10000"),
    ("training: 5", "training is 5: write keys and values"),
    ("encoding: {noise: .nan}", "encoding.noise is NaN, but should be a finite number"),
    ("network: {hidden: [10, 0]}", "network.hidden.1 is 0, but should be greater than or equal to 1"),
    ("training: {schedule: [[2, 0.1]]}", "a schedule is a list of [iteration, rate] that starts at iteration 1"),
    ("training: {schedule: [[1, 0.1], [1, 0.2]]}", "but a schedule is a list of [iteration, rate]"),
    ("split: {folds: [0, 0]}", "but folds are a list of different numbers"),
    ("seed: 1\nvariant: original\nseed: 2", "line 3: this is not YAML: the key seed is there twice"),
    ("seed: 2020-13-45", "this is not YAML: month must be in 1..12"),
    ("split:\n  count: 10", "line 2: split.count is 10, but it is for stratified and random: the folds of publi"),
    ("- a", "an experiment file holds keys and values, not a list"),
])  # fmt: skip
def test_a_mistake_in_a_file_is_named_with_its_place(tmp_path, text, message):
    file = tmp_path / "x.yaml"
    file.write_text(text)
    with pytest.raises(QM7Error, match=re.escape(message)) as error:
        resolve(file, [], {})
    assert str(error.value).startswith(str(file))


def test_a_mistake_in_an_assignment_names_the_assignment():
    with pytest.raises(QM7Error, match=re.escape("--set training.batch: unknown key training.batch; did you mean")):
        resolve(None, ["training.batch=5"], {})
    with pytest.raises(QM7Error, match="write KEY=VALUE"):
        resolve(None, ["seed"], {})
    with pytest.raises(QM7Error, match=r'^variant is "x", not one of'):
        resolve(None, [], {"variant": "x"})


@pytest.mark.parametrize(("assignment", "message"), [
    ("network.bias=[1]", "network.bias is [1.0], but 2 hidden layers take one number, or 2 of them"),
    ("network.bias=[1, x]", 'network.bias.1 is "x": write a number'),
    ("network.bias=-1", "network.bias is -1, but should be greater than or equal to 0"),
    ("network.offset=.inf", "network.offset is Infinity, but should be a finite number"),
    ("encoding.center=maybe", 'encoding.center is "maybe": write true or false'),
    ("baseline={model: mean, kernel: gaussian}", 'baseline.kernel is "gaussian", but mean takes none'),
    ("baseline={model: krr, draws: 2}", "baseline.draws is 2, but krr takes none"),
    ("baseline.representation=sorted", 'baseline.representation is "sorted", but the network takes none'),
    ("baseline={model: forest}", "not one of mean, knn, linear, krr"),
    ("baseline={model: krr, scale: -1}", "baseline.scale is -1"),
])  # fmt: skip
def test_what_a_network_or_a_baseline_does_not_take_is_refused(assignment, message):
    with pytest.raises(QM7Error, match=re.escape(message)):
        resolve(None, [assignment], {})


def test_a_bias_is_one_number_or_one_a_layer():
    biases = {text: resolve(None, [f"network.bias={text}"], {}).network.bias_of_layers for text in ("2", "[2, 1e-1]")}
    assert biases == {"2": [2.0, 2.0], "[2, 1e-1]": [2.0, 0.1]}


def test_a_file_that_is_missing_or_no_text_is_one_sentence(tmp_path):
    with pytest.raises(QM7Error, match=r"cannot read .*none.yaml: No such file"):
        resolve(tmp_path / "none.yaml", [], {})
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(QM7Error, match="is not a text file"):
        resolve(tmp_path / "x.yaml", [], {})


def test_only_settings_that_change_the_numbers_make_another_configuration():
    free = ["data=x.mat", "split.folds=[2]", "training={iterations: 5, checkpoint_every: 2}", "evaluation.every=3"]
    usual, other = identity(Experiment()), identity(resolve(None, ["encoding.noise=2", "split.seed=1"], {"seed": 4}))
    assert identity(resolve(None, free, {})) == usual
    assert [key for key in usual if other[key] != usual[key]] == ["seed", "split.seed", "encoding.noise"]


def test_what_is_overridden_is_whatever_it_was_before(tmp_path):
    file = tmp_path / "x.yaml"
    file.write_text("training: 5\nseed: -1\nencoding: {}")
    assert resolve(file, ["training.iterations=7", "encoding={}"], {"seed": 3}).training.iterations == 7
    with pytest.raises(UsageError, match="--set training: training is 5: write keys and values"):
        resolve(None, ["training.iterations=7", "training=5"], {})
    with pytest.raises(UsageError, match=r"--set variant.x: variant is \{'x': 0\}, not one of"):
        resolve(None, ["variant=original", "variant.x=0"], {})
    with pytest.raises(UsageError, match="--set nothing: unknown key nothing"):
        resolve(None, ["nothing={}"], {})


def test_settings_that_make_no_difference_are_no_part_of_the_configuration():
    network, knn = resolve(None, [], {}), resolve(None, [], {"baseline.model": "knn"})
    assert {key for key in identity(network) if key.startswith("baseline.")} == {"baseline.model"}
    assert set(identity(knn)) == {
        "seed", "imported", "split.scheme", "split.count", "split.seed", "split.train_size",
        "target.subtract", "baseline.model", "baseline.representation", "baseline.neighbours",
    }  # fmt: skip
    drawn = resolve(None, [], {"baseline.model": "knn", "baseline.representation": "random"})
    assert set(identity(drawn)) - set(identity(knn)) == {"encoding.noise", "evaluation.draws", "baseline.draws"}
    own = {key for key in identity(Experiment(imported="painn")) if not key.startswith("split.")}
    assert own == {"seed", "imported"}


def test_a_count_of_folds_is_refused_where_no_folds_are_made_and_the_default_is_not(tmp_path):
    file = tmp_path / "x.yaml"
    file.write_text("split: {scheme: stratified, count: 10}")
    assert resolve(file, ["split.scheme=random"], {}).split.count == 10
    with pytest.raises(QM7Error, match=r"x.yaml, line 1: split.count is 10, but it is for stratified and random: "):
        resolve(file, [], {"split.scheme": "published"})
    with pytest.raises(UsageError, match=r"^--set split.count: split.count is 10, but it is for stratified"):
        resolve(None, ["split.count=10"], {})
    assert resolve(None, ["split.count=10"], {"split.scheme": "random"}).split.count == 10
    assert resolve(None, ["split.count=5"], {}) == Experiment()
    with pytest.raises(SettingsError, match="it is for stratified and random"):
        Split(count=10)


def test_every_way_to_a_baseline_gives_the_same_settings(tmp_path):
    given = {"model": "krr", "kernel": "laplacian", "scale": 100, "ridge": 1e-3}
    (tmp_path / "x.yaml").write_text(format_yaml({"baseline": given}))
    (tmp_path / "part.yaml").write_text("baseline: {kernel: laplacian, scale: 100}")
    whole = resolve(None, [], {f"baseline.{key}": value for key, value in given.items()})
    (tmp_path / "saved.yaml").write_text(format_yaml(whole.model_dump(mode="json")))
    assert whole.baseline.representation == "sorted"
    for experiment in (
        Experiment(baseline=Baseline(**given)),
        Experiment(baseline=given),
        Experiment().model_copy(update={"baseline": Baseline(**given)}),
        Experiment(baseline=Baseline(model="knn").model_copy(update=given)),
        Experiment.model_validate({"baseline": given}),
        Experiment.model_validate(whole.model_dump()),
        Experiment.model_validate_json(whole.model_dump_json()),
        resolve(tmp_path / "x.yaml", [], {}),
        resolve(tmp_path / "saved.yaml", [], {}),
        resolve(None, [f"baseline.{key}={value}" for key, value in given.items()], {}),
        resolve(tmp_path / "part.yaml", ["baseline.ridge=1e-3"], {"baseline.model": "krr"}),
    ):
        assert experiment == whole


def test_what_does_not_go_together_is_named_with_the_place_of_what_was_given_last(tmp_path):
    file = tmp_path / "x.yaml"
    file.write_text("seed: 1\nbaseline:\n  model: mean\n  kernel: gaussian\n")
    with pytest.raises(QM7Error) as error:
        resolve(file, [], {})
    assert str(error.value).startswith(f'{file}, line 4: baseline.kernel is "gaussian", but mean takes none')
    assert not isinstance(error.value, UsageError)
    file.write_text("baseline: {model: mean}")
    with pytest.raises(UsageError, match=r"^--set baseline.ridge: baseline.ridge is 1.0, but mean takes none"):
        resolve(file, ["seed=3", "baseline.ridge=1"], {"seed": 4})
    with pytest.raises(UsageError, match=r"^baseline.ridge is 1.0, but mean takes none"):
        resolve(file, ["seed=3"], {"baseline.ridge": 1})


def test_no_sentence_begins_as_pydantic_s():
    for make in (
        lambda: Split(folds=[0, 0]),
        lambda: Split(scheme="none"),
        lambda: Training(schedule=[(2, 0.1)]),
        lambda: Experiment(seed=True),
        lambda: Baseline(kernel="gaussian"),
        lambda: Experiment().training.model_copy(update={"schedule": [(1, -1.0)]}),
    ):
        with pytest.raises(SettingsError) as error:
            make()
        assert "Value error" not in str(error.value)
        assert "\n" not in str(error.value)
