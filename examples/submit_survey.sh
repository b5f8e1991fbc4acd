#!/usr/bin/env bash
# The process that schedules a survey, as a small job of its own: it asks for the jobs that work.
# Submit it from the directory it lies in:
#
#     sbatch submit_survey.sh fields/*.toml --jobs 10 --cores 8 --memory 16GB
#
# If its time is over before the survey is done, submit it again: finished steps are kept.
#SBATCH --job-name=phangs_xr_survey
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=1
#SBATCH --mem=4G
#SBATCH --time=24:00:00
#SBATCH --output=survey-%j.log
set -euo pipefail

# SLURM runs a copy of this script, from elsewhere.
cd "${SLURM_SUBMIT_DIR:-$(dirname "$0")}"
exec python run_on_slurm.py "$@"
