"""Bell schedule and lesson rules: a room laid out, to be furnished later by decision."""
