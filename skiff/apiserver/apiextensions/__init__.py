"""CustomResourceDefinitions at work: each becomes resource records of the registry while the server runs.

`follow` waits for the first definition, `manager` follows them, decides about their names (`naming`), installs and removes records (`resource`, made from
a `definition`), and empties a definition that is being deleted (`cleanup`). `conversion` speaks to conversion webhooks.
The schemas' own work is in skiff.api.structural. Nothing here runs per request but what the records' functions do.
"""
