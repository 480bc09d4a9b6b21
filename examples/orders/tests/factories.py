"""What many tests need first: made through the API, as a client would."""

ANCHOR, BELL, CHART, LAMP, ROPE = 1, 2, 3, 4, 5


def make_customer(client, email="ada@example.org", name="Ada"):
    response = client.post("/customers", json={"email": email, "name": name})
    assert response.status_code == 201, response.text
    return response.json()


def make_order(client, customer, *lines):
    """Place an order; each line is (product, quantity)."""
    response = order(client, customer, *lines)
    assert response.status_code == 201, response.text
    return response.json()


def order(client, customer, *lines):
    """Try to place an order; the test looks at the answer."""
    wanted = [{"product_id": product, "quantity": quantity} for product, quantity in lines]
    return client.post("/orders", json={"customer_id": customer["id"], "lines": wanted})
