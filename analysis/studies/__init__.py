"""Studies: many runs, one question, one results file, one figure. Run by `python -m analysis.study`."""
