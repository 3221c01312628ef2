"""The page that draws in the browser: its formulas by Node, and all of it in Chromium."""
