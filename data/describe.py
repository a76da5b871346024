"""python -m data.describe: what a config trains on, see analysis/describe.py.

The command stands here because it is looked for here.
"""

from analysis.describe import main
from train.cli import guarded

if __name__ == "__main__":
    guarded(main)
