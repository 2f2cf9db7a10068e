#!/usr/bin/env bash
# On a machine with a GPU: the tests that need one, then the full nets on the real corpus.
# Has not been run on a GPU yet.
#
#     benchmarks/gpu.sh [STEPS]         STEPS of each fit, 3000 unless given
#
# Needs the package installed and data/libriphone prepared. Results: runs/gpu-<net>/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
steps=${1:-3000}

python -m pytest tests/test_gpu.py
for net in rnn crnn cnn transformer; do
    last=runs/gpu-$net/checkpoints/last.ckpt
    if [ -f "$last" ]; then
        phoneme-cli fit --ckpt_path "$last" --trainer.max_steps "$steps"
    else
        phoneme-cli fit --config configs/$net.yaml --config configs/data/libriphone.yaml \
            --config configs/trainer/gpu.yaml --trainer.max_steps "$steps" --run.folder runs/gpu-$net
    fi
    phoneme-cli test --ckpt_path "runs/gpu-$net/checkpoints/best.ckpt"
done

# A round, several trials at once on one GPU, by either way of starting a trial.
for executor in subprocess fork; do
    sed "s/^executor:.*//; \$a executor: {kind: $executor}" sweeps/lr_round1.yaml \
        > "sweeps/gpu_$executor.yaml"
    phoneme-sweep run "sweeps/gpu_$executor.yaml" --quick --parallel 4
    rm "sweeps/gpu_$executor.yaml"
done

# Throughput at powers of two of the batch, until memory ends.
for net in rnn crnn; do
    phoneme-sweep probe batch "configs/$net.yaml" --set data.corpus=libriphone
done
