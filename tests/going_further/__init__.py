"""Tests of what comes after the labs."""
