"""Result files brought together: which are comparable, and the tables of those that are."""
