#!/usr/bin/env bash
# Make the runs here again, with the qm7 of the commit that README.md names: ./make.sh PATH/TO/qm7
set -eu
cd "$(dirname "$0")"
qm7=$(realpath "$1")
export OPENBLAS_NUM_THREADS=1
rm -rf runs
network=(--data small.mat --quiet --set network.hidden=[5,4] --set training.batch_size=5 --set encoding.step=3
    --set evaluation.draws=2 --set evaluation.every=100 --set training.checkpoint_every=50)

wait_and_stop() {  # the process $1, when the file $2 is there
    until [ -f "$2" ]; do sleep 0.01; done
    kill -TERM "$1"
    wait "$1" || true
}

# a finished run of two folds, and one of a baseline
"$qm7" train "${network[@]}" --iterations 200 --set training.history=0.25 --fold 0 --fold 1
"$qm7" baseline --model krr --data small.mat --quiet --kernel laplacian --fold 0

# a run on a split file, stopped on the way
"$qm7" split --data small.mat --scheme random --count 4 --seed 3 --output folds.yaml
"$qm7" train "${network[@]}" --iterations 4000 --split folds.yaml --fold 0 --out runs/stopped & wait_and_stop $! runs/stopped/fold-0/history.csv

# a sweep, whose first point is finished and whose second is stopped on the way
"$qm7" sweep sweep.yaml --jobs 1 --quiet --out runs/sweep & wait_and_stop $! "runs/sweep/small-corrected-seed0-encoding.step=3.0-network.hidden=5,4-training.batch_size=5-training.history=0.2-evaluation.draws=2/fold-0/history.csv"

find runs -name .lock -delete
