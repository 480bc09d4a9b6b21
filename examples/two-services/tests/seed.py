"""What is in stock when a test begins."""


def load(client):
    client.set("level:lamp", 3)
