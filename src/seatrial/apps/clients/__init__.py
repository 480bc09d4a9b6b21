"""What a test holds in its hands: the clients of httpx, and the WebSockets opened with them."""
