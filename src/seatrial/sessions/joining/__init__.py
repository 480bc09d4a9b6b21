"""One outer transaction that a whole test shares: what `rollback` is made of."""
