"""Worked cases: files of dated events with what the rules must say of them.

The acceptance form of the rules: ``suifang rules evaluate CASES.json`` reads it, judges it with
the live engine, and compares.
"""
