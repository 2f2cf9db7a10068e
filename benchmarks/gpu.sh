#!/usr/bin/env bash
# On a machine with a GPU: what only it can show, in three parts of ten minutes at most.
# Has not been run on a GPU yet.
#
#     benchmarks/gpu.sh measure     the tests that need a GPU; then each benchmark, as in README.md
#     benchmarks/gpu.sh fit         the full nets on libriphone: STEPS steps of each (3000)
#     benchmarks/gpu.sh speed       seconds from the start of a fit to an accuracy of TARGET (0.75)
#
# A part that was cut off goes on where it was, and what it has measured before it does not measure
# again. It ends by itself after MINUTES (9.5). Results go to runs/gpu/, and from there to the folder
# OUT if that is set; the corpus is STORE (data/libriphone), which `phoneme-data prepare` has made.
#
# The machine may be without a network: whatever wheels stand in wheels/ are installed, and nothing
# else is. All dependencies but W&B, Optuna and Plotly must then be there or be there already.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
part=${1:-}
steps=${STEPS:-3000} target=${TARGET:-0.75} store=${STORE:-data/libriphone}
out=runs/gpu
over=$(awk "BEGIN {print int($SECONDS + 60 * ${MINUTES:-9.5})}")
mkdir -p "$out"
if [ -n "${OUT:-}" ]; then trap 'cp -r "$out/." "$OUT/"' EXIT; fi

if ! python -c 'from importlib.metadata import version; version("phoneme-lightning")' 2> /dev/null; then
    if [ -d wheels ]; then
        python -m pip install --quiet --no-index --no-deps wheels/*.whl
        python -m pip install --quiet --no-index --no-deps --no-build-isolation --editable .
    else
        python -m pip install --quiet --editable .
    fi
fi

# Run a command for as long as this part may still take; tell of one that failed, and go on.
run() {
    local left=$((over - SECONDS))
    [ "$left" -gt 5 ] || { echo "time is up: run this part again"; exit 3; }
    timeout --kill-after=20 --signal=INT "$left" "$@" || echo "FAILED ($?): $*" | tee -a "$out/failed.txt"
}

# Keep what a benchmark finds on this machine beside, not in place of, what others found.
keep() {
    local name=$1 kept=benchmarks/results/$1.json
    [ -f "$out/$name.json" ] && return
    run true  # before anything is moved: is there time left?
    local before
    before=$(mktemp)
    [ -f "$kept" ] && mv "$kept" "$before"
    run python benchmarks/keep.py "$@"
    [ -f "$kept" ] && mv "$kept" "$out/$name.json"
    if [ -s "$before" ]; then mv "$before" "$kept"; else rm "$before"; fi
}

case $part in
    measure)
        run python -m pytest -q -p no:cacheprovider tests/test_gpu.py > "$out/tests.txt" 2>&1
        tail -n 20 "$out/tests.txt"
        keep limits --device cuda --frames-per-batch 32000
        keep training --device cuda --frames-per-batch 32000 128000 --packed-frames 32000
        keep agreement --device cuda --frames-per-batch 32000 --store "$store"
        keep inference --device cuda
        if [ -d "$store" ]; then keep data --device cuda --store "$store"; else keep data --device cuda; fi
        ;;
    fit)
        for net in crnn rnn transformer; do
            folder=runs/gpu-$net last=runs/gpu-$net/checkpoints/last.ckpt
            grep -qs '"completed"' "$out/$net/outcome.json" && continue
            if [ -f "$last" ]; then
                run phoneme-cli fit --ckpt_path "$last"
            else
                rm -rf "$folder"
                run phoneme-cli fit --config "configs/$net.yaml" --config configs/trainer/gpu.yaml \
                    --data.corpus "$store" --trainer.max_steps "$steps" --run.folder "$folder" \
                    --wandb.mode disabled
            fi
            mkdir -p "$out/$net"
            cp "$folder"/*.{csv,json,txt,yaml} "$out/$net/" 2> /dev/null || true
        done
        ;;
    speed)
        keep speed_run --device cuda --config configs/crnn.yaml --config configs/trainer/gpu.yaml \
            --store "$store" --target "$target" --limit-minutes 4 --trainer.val_check_interval 50
        ;;
    *)
        sed -n '2,/^set/p' "${BASH_SOURCE[0]}" | grep '^#' | cut -c 3-
        exit 2
        ;;
esac
