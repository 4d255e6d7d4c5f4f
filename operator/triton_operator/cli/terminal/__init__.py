"""Output on a terminal or in a pipe: tables, progress and spinners."""
