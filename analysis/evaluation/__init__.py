"""What a result file of a generator holds, and how it is measured."""
