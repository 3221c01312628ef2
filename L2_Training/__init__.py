"""Lab 2, its exercise sheet, its checks and its clinic."""
