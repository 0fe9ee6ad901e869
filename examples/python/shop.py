"""Functions that examples/python-functions.json calls."""

import pawl

PRICES = {"pen": 120, "book": 1_500}


class Unknown(Exception):
    """There is no such thing, and there will be none tomorrow."""


def orders(count):
    return [{"id": f"order-{n}", "what": "pen" if n % 2 else "book", "pieces": n} for n in range(1, count + 1)]


def price(order):
    if order["what"] not in PRICES:
        raise Unknown(order["what"])
    print(f"{order['pieces']} of {order['what']}, attempt {pawl.attempt().number}")
    return PRICES[order["what"]] * order["pieces"]


def total(prices):
    return sum(prices)
