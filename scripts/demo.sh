#!/bin/sh
# Train an ordinary and two rotation-equivariant networks on generated polyps, and write a report that compares them.
set -eu
cd "$(dirname "$0")/.."
. scripts/environment.sh

environment .venv-demo experiments

# Threads that wait sleep instead of spinning, which would slow down everything on a machine with other work.
: "${OMP_WAIT_POLICY:=passive}"
export OMP_WAIT_POLICY

step "Training and comparing the networks"
run "$python" -m experiments.polyp study --lit --out runs/demo

step "The report is $(pwd)/runs/demo/report.html: open it in a browser"
