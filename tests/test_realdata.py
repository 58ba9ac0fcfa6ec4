"""QM7 itself: what a right implementation gives (Montavon et al., NIPS 2012, and measured)."""

import pytest

from qm7cli.model.variants import RULES
from qm7cli.runs.experiment import resolve
from qm7cli.training.train_run import train_run


@pytest.mark.realdata
@pytest.mark.parametrize("variant", RULES)
def test_2000_iterations_on_fold_0_end_in_the_known_band(tmp_path, qm7, variant):
    experiment = resolve(
        None, ["training.iterations=2000", "split.folds=[0]", "evaluation.every=2000"], {"variant": variant}
    )
    result = train_run(experiment, qm7, tmp_path / "run")[0]
    assert 11.2 <= result.mae <= 14.2
    assert result.train_mae < result.mae < result.rmse
