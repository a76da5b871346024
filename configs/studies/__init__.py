"""Configs of studies, one a file: configs/studies/NAME.py:smoke, :cpu or :gpu."""
