#!/bin/sh
# A tiny grid
# Submit with: sbatch /shared/experiments/tiny/slurm.sh
# Options of sbatch, such as --time and --partition, stand before the path.
# The results: coil experiment /shared/experiments/tiny/grid.toml --out /shared/experiments --results
#SBATCH --job-name=coil-tiny
#SBATCH --array=0-5%4
#SBATCH --cpus-per-task=2
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output="/shared/experiments/tiny/logs"/slurm-%a.txt
again=
# Before the time limit, the cell saves a checkpoint, and the job is queued again.
trap 'again=yes; kill -TERM "$!"' USR1
# Slurm ends the job, and has signalled the cell too.
trap 'again=' TERM
/opt/coil/bin/coil experiment cell /shared/experiments/tiny "$SLURM_ARRAY_TASK_ID" --workers "$SLURM_CPUS_PER_TASK" &
wait "$!"
code=$?
while kill -0 "$!" 2>/dev/null; do # a signal ended the wait, but not the cell
	wait "$!"
	code=$?
done
if [ -n "$again" ] && [ "$code" -gt 128 ]; then
	exec scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
fi
exit "$code"
