# Generated from `_async` by `clients/python/generate`.
"""The client that blocks, generated from `_async` but for `transport.py`."""
