"""Lab 4, its exercise sheet, its checks and its clinic."""
