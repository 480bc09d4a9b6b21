-- The functions of uuid-ossp (https://www.postgresql.org/docs/current/uuid-ossp.html), after RFC 9562, in SQL.
CREATE FUNCTION uuid_nil() RETURNS uuid IMMUTABLE PARALLEL SAFE LANGUAGE sql
RETURN '00000000-0000-0000-0000-000000000000'::uuid;

CREATE FUNCTION uuid_ns_dns() RETURNS uuid IMMUTABLE PARALLEL SAFE LANGUAGE sql
RETURN '6ba7b810-9dad-11d1-80b4-00c04fd430c8'::uuid;

CREATE FUNCTION uuid_ns_url() RETURNS uuid IMMUTABLE PARALLEL SAFE LANGUAGE sql
RETURN '6ba7b811-9dad-11d1-80b4-00c04fd430c8'::uuid;

CREATE FUNCTION uuid_ns_oid() RETURNS uuid IMMUTABLE PARALLEL SAFE LANGUAGE sql
RETURN '6ba7b812-9dad-11d1-80b4-00c04fd430c8'::uuid;

CREATE FUNCTION uuid_ns_x500() RETURNS uuid IMMUTABLE PARALLEL SAFE LANGUAGE sql
RETURN '6ba7b814-9dad-11d1-80b4-00c04fd430c8'::uuid;

CREATE FUNCTION uuid_generate_v4() RETURNS uuid VOLATILE PARALLEL SAFE LANGUAGE sql
RETURN gen_random_uuid();

-- Tenths of microseconds since 1582-10-15, a random sequence, and a random node that is marked as no network card's.
CREATE FUNCTION uuid_generate_v1() RETURNS uuid VOLATILE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
DECLARE
  ticks text := lpad(to_hex((extract(epoch FROM clock_timestamp()) * 10000000)::bigint + 122192928000000000), 16, '0');
  chance text := replace(gen_random_uuid()::text, '-', '');
BEGIN
  RETURN (substr(ticks, 9, 8) || substr(ticks, 5, 4) || '1' || substr(ticks, 2, 3)
    || substr('89ab', 1 + floor(random() * 4)::int, 1) || substr(chance, 1, 3)
    || substr(chance, 4, 1) || '3' || substr(chance, 23, 10))::uuid;
END $$;

CREATE FUNCTION uuid_generate_v1mc() RETURNS uuid VOLATILE STRICT PARALLEL SAFE LANGUAGE sql
RETURN uuid_generate_v1();

CREATE FUNCTION uuid_generate_v3(namespace uuid, name text) RETURNS uuid
IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql AS $$
  SELECT (substr(h, 1, 12) || '3' || substr(h, 14, 3)
    || to_hex(('x' || substr(h, 17, 1))::bit(4)::int & 3 | 8) || substr(h, 18, 15))::uuid
  FROM md5(uuid_send(namespace) || convert_to(name, 'UTF8')) AS h
$$;

-- SHA-1 after RFC 3174: the server itself has only the later ones.
CREATE FUNCTION uuid_generate_v5(namespace uuid, name text) RETURNS uuid
IMMUTABLE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
DECLARE
  word CONSTANT bigint := 4294967295;
  message bytea := uuid_send(namespace) || convert_to(name, 'UTF8');
  bits bigint := length(message) * 8;
  h bigint[] := ARRAY[1732584193, 4023233417, 2562383102, 271733878, 3285377520];
  w bigint[];
  a bigint; b bigint; c bigint; d bigint; e bigint; f bigint; k bigint; t bigint;
  digest text := '';
BEGIN
  message := message || '\x80'::bytea;
  WHILE length(message) % 64 <> 56 LOOP
    message := message || '\x00'::bytea;
  END LOOP;
  message := message || int8send(bits);
  FOR block IN 0 .. length(message) / 64 - 1 LOOP
    w := ARRAY[]::bigint[];
    FOR i IN 0 .. 79 LOOP
      IF i < 16 THEN
        t := 0;
        FOR j IN 0 .. 3 LOOP
          t := (t << 8) | get_byte(message, block * 64 + i * 4 + j);
        END LOOP;
      ELSE
        t := w[i - 2] # w[i - 7] # w[i - 13] # w[i - 15];
        t := ((t << 1) | (t >> 31)) & word;
      END IF;
      w := w || t;
    END LOOP;
    a := h[1]; b := h[2]; c := h[3]; d := h[4]; e := h[5];
    FOR i IN 1 .. 80 LOOP
      IF i <= 20 THEN
        f := (b & c) | ((~b) & word & d); k := 1518500249;
      ELSIF i <= 40 THEN
        f := b # c # d; k := 1859775393;
      ELSIF i <= 60 THEN
        f := (b & c) | (b & d) | (c & d); k := 2400959708;
      ELSE
        f := b # c # d; k := 3395469782;
      END IF;
      t := ((((a << 5) | (a >> 27)) & word) + f + e + k + w[i]) & word;
      e := d; d := c; c := ((b << 30) | (b >> 2)) & word; b := a; a := t;
    END LOOP;
    h := ARRAY[(h[1] + a) & word, (h[2] + b) & word, (h[3] + c) & word, (h[4] + d) & word, (h[5] + e) & word];
  END LOOP;
  FOR i IN 1 .. 4 LOOP
    digest := digest || lpad(to_hex(h[i]), 8, '0');
  END LOOP;
  RETURN (substr(digest, 1, 12) || '5' || substr(digest, 14, 3)
    || to_hex(('x' || substr(digest, 17, 1))::bit(4)::int & 3 | 8) || substr(digest, 18, 15))::uuid;
END $$;
