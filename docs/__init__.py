"""Glossary, speed, pictures, and the program that makes the pictures."""
