"""Tutelage: instruction tuning as a closed loop, with evidence."""
