"""What the API is: data and pure functions. No I/O, no asyncio, no clock in here.

API objects are plain JSON-shaped dicts. Objects that come from a cache are shared: copy, then change.
"""
