"""One reading: what was said of it, and saying something: correct, retract, undo, claim."""
