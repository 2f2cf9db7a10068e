#!/usr/bin/env bash
# Installs what the tests here need and this machine lacks, by the packages of Debian or Ubuntu.
# Their services are not started: each test starts servers of its own.
set -euo pipefail

export PATH=$PATH:/usr/sbin:/sbin
missing=()
for program in munged:munge slurmctld:slurmctld slurmd:slurmd sbatch:slurm-client; do
    command -v "${program%%:*}" >/dev/null || missing+=("${program##*:}")
done
compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || missing+=(postgresql)
if ((${#missing[@]} == 0)); then
    exit
fi

as_root=()
if ((EUID != 0)); then
    as_root=(sudo)
fi
"${as_root[@]}" apt-get update
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
    apt-get install --yes --no-install-recommends "${missing[@]}"
