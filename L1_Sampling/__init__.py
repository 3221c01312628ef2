"""Lab 1, its exercise sheet, its checks and its clinic."""
