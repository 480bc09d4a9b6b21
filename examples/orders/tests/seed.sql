-- The shelf that every test starts from.
INSERT INTO products (sku, name, price, stock) VALUES
    ('ANCHOR', 'Anchor',   149.00, 3),
    ('BELL',   'Bell',      39.90, 10),
    ('CHART',  'Chart',     12.50, 100),
    ('LAMP',   'Lamp',      24.00, 1),
    ('ROPE',   'Rope, 1 m',  0.35, 5000);
