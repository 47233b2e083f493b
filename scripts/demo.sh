#!/bin/sh
# Train ordinary and equivariant networks on generated images, and write a report that compares them.
#
#   sh scripts/demo.sh           polyps, and networks that turn with the image
#   sh scripts/demo.sh tumour    brain tumours in volumes, and networks that scale with them
set -eu
cd "$(dirname "$0")/.."
. scripts/environment.sh

study=${1:-polyp}
case $study in
polyp) set -- --lit --out runs/demo ;;
tumour) set -- --out runs/tumour ;;
*) fail "there is no study $study, only polyp and tumour" ;;
esac
for out; do :; done

environment .venv-demo experiments

# Threads that wait sleep instead of spinning, which would slow down everything on a machine with other work.
: "${OMP_WAIT_POLICY:=passive}"
export OMP_WAIT_POLICY

step "Training and comparing the networks"
run "$python" -m "experiments.$study" study "$@"

step "The report is $(pwd)/$out/report.html: open it in a browser"
