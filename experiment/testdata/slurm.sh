#!/bin/sh
# A tiny grid
# Submit with: sbatch FOLDER/tiny/slurm.sh
# The results: coil experiment FOLDER/tiny/grid.toml --out FOLDER --results
#SBATCH --job-name=coil-tiny
#SBATCH --array=1,2,4,5%3
#SBATCH --cpus-per-task=2
#SBATCH --signal=B:TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=FOLDER/tiny/logs/slurm-%a.txt
exec 'FOLDER/a coil'\''s "stand-in" $HOME' experiment cell FOLDER/tiny "$SLURM_ARRAY_TASK_ID" --workers "$SLURM_CPUS_PER_TASK" --backend cpu
