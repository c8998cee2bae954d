"""Indicators: one module per family, each a set of functions bars -> values, and the catalogue.

Every function takes a date-indexed frame of open, high, low, close, volume and returns a float array of
its length, NaN while warming up. A value on day t uses bars up to and including day t only.
"""
