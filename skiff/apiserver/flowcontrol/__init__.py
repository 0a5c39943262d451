"""Priority and fairness: which requests share a level's seats, and who of those that wait comes next.

fairqueue.py and classify.py are pure; defaults.py has the objects that every cluster starts with; filter.py stands in the
server's chain, and controller.py keeps the objects and makes the filter follow them.
"""
