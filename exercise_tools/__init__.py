"""What the exercises of all labs share: the engine of the checks, and the program that makes the sheets."""
