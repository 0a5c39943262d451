"""The verbs, one per module: `async def handle(call) -> Response`. Each is written once for all resources."""
