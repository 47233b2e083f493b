#!/bin/sh
# Train an ordinary and two rotation-equivariant networks on generated polyps, and write a report that compares them.
set -eu
cd "$(dirname "$0")/.."
. scripts/environment.sh

environment .venv-demo experiments

step "Training and comparing the networks"
run "$python" -m experiments.polyp study --lit --out runs/demo

step "The report is $(pwd)/runs/demo/report.html: open it in a browser"
