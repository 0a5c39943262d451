"""Services → nftables. Everything of ours is in the tables `ip skiff` and `ip6 skiff`; other tables are never touched.

model.py: objects become small records at the cache's border. endpoints.py, rules.py: what one service needs, pure.
ruleset.py: pieces of services become transactions. proxy.py acts."""
