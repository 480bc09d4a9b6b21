"""Password hashing at the lowest cost, for `fast_password_hashing`: hashes that exist verify as ever."""
