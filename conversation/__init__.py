"""The heart: what a spoken conversation is, whoever hears, thinks and speaks.

This package knows no Ray, no web framework, no model and no folder beside it (tests/unit/test_imports.py).
"""
