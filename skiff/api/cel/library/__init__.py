"""The function libraries that Kubernetes 1.36 enables, each a list of rows (functions.Row) named ROWS."""
