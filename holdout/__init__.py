"""Holdout for programs that talk to its service."""
