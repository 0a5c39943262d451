"""The pod network of one node: bridge and sysctls, the CNI configuration, masquerading and host ports, routes to the
other nodes' pods. Everything of ours in nftables is in the table `ip skiff-network`; other tables are never touched."""
