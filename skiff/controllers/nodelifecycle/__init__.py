"""Nodes that fall silent: noticed (`health`), tainted at a careful rate (`zones`), acted on (`controller`)."""
