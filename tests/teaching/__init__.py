"""Tests of what is for teachers."""
