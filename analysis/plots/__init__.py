"""Figures of result files: pure functions of results that give drawings."""
