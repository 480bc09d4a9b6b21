"""One call of an ASGI app as the app sees it: a request, a WebSocket, a lifespan."""
