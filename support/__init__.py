"""What serves the labs without being taught by them: files, speed, quality, training, tables."""
